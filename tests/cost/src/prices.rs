//! The price file.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::usage::Usage;

/// The file in this repository.
pub const FILE: &str = "prices-2026-11.toml";

/// Prices of one day.
#[derive(Debug, Clone)]
pub struct Prices {
    /// The day.
    pub date: String,
    /// Where.
    pub region: String,
    by_meter: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct File {
    date: String,
    region: String,
    price: Vec<Price>,
}

#[derive(Deserialize)]
struct Price {
    meter: String,
    usd: f64,
    per: f64,
    source: String,
}

impl Prices {
    /// Reads a price file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut by_meter = BTreeMap::new();
        for Price { meter, usd, per, source } in file.price {
            if per <= 0.0 || usd < 0.0 || source.is_empty() {
                return Err(format!("{meter}: a price is for some units, and has a source"));
            }
            if by_meter.insert(meter.clone(), usd / per).is_some() {
                return Err(format!("{meter} has two prices"));
            }
        }
        Ok(Prices { date: file.date, region: file.region, by_meter })
    }

    /// The prices beside this crate.
    pub fn ours() -> Self {
        Prices::read(include_str!("../prices-2026-11.toml")).expect("a test reads it")
    }

    /// Dollars for one unit.
    pub fn unit(&self, meter: &str) -> f64 {
        *self.by_meter.get(meter).unwrap_or_else(|| panic!("{meter} has no price"))
    }

    /// Dollars for all meters that begin with one of `prefixes`.
    pub fn sum(&self, usage: &Usage, prefixes: &[&str]) -> f64 {
        let ours = usage.meters.iter().filter(|(meter, _)| prefixes.iter().any(|p| meter.starts_with(p)));
        ours.map(|(meter, units)| units * self.unit(meter)).fold(0.0, |sum, usd| sum + usd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_price_is_for_something_and_has_a_source() {
        let prices = Prices::ours();
        assert_eq!(prices.date, "2026-11-20");
        assert!((prices.unit("step_functions.transitions") - 0.000_025).abs() < 1e-12);
        for text in [
            "",
            "date = 1",
            "date = \"d\"\nregion = \"r\"\nprice = [{ meter = \"m\", usd = 1, per = 0, source = \"s\" }]",
        ] {
            assert!(Prices::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_used_is_priced_by_its_meter() {
        let mut usage = Usage::default();
        usage.add("sqs.requests", 1_000_000.0);
        usage.add("dynamodb.write_units", 2_000_000.0);
        usage.add("dynamodb.index_write_units", 1_000_000.0);
        let prices = Prices::ours();
        assert!((prices.sum(&usage, &["sqs."]) - 0.40).abs() < 1e-9);
        assert!((prices.sum(&usage, &["dynamodb."]) - 1.875).abs() < 1e-9);
        assert!((prices.sum(&usage, &[""]) - 2.275).abs() < 1e-9);
    }
}
