//! Pages of listings: how long one is, and the tokens that say where it goes on, bound to the request that began it.

use stepwell_interpreter::Timestamp;

use crate::request::Members;
use crate::{Error, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};

/// How long a page token is good for (API: `nextToken`).
const VALID_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A digest of what must stay the same between the pages of a listing.
pub(crate) struct Binding(u64);

impl Binding {
    /// The operation and its arguments but the token. (`maxResults` may change.)
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut digest = 0xcbf2_9ce4_8422_2325_u64;
        for byte in parts.iter().flat_map(|part| part.bytes().chain([0xff])) {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Binding(digest)
    }

    /// A token that says `cursor`.
    pub(crate) fn seal(&self, cursor: &str, now: Timestamp) -> String {
        let text = format!("1 {:x} {:x} {cursor}", self.checksum(now.0, cursor), now.0);
        text.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What a token says.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] for one that is over a day old, or not ours, or from another listing.
    pub(crate) fn open(&self, token: &str, now: Timestamp) -> Result<String, Error> {
        let text = unhex(token).ok_or(Error::InvalidToken)?;
        let mut parts = text.splitn(4, ' ');
        let mut next = || parts.next().ok_or(Error::InvalidToken);
        let (version, checksum, issued, cursor) = (next()?, next()?, next()?, next()?);
        let issued = i64::from_str_radix(issued, 16).map_err(|_| Error::InvalidToken)?;
        let is_ours = version == "1" && *checksum == format!("{:x}", self.checksum(issued, cursor));
        let age = now.0.saturating_sub(issued);
        if is_ours && age < VALID_MILLIS { Ok(cursor.to_owned()) } else { Err(Error::InvalidToken) }
    }

    /// Behind which ARN the page of `token` begins, of resources whose ARNs begin with `ours`: in the order of ARNs, those
    /// of one kind, account and region stand together.
    ///
    /// # Errors
    /// [`Error::InvalidToken`]
    pub(crate) fn after(&self, token: Option<&str>, ours: &str, now: Timestamp) -> Result<String, Error> {
        let Some(token) = token else { return Ok(ours.to_owned()) };
        Some(self.open(token, now)?).filter(|after| after.starts_with(ours)).ok_or(Error::InvalidToken)
    }

    /// Cuts `items`, of which one more than `limit` were asked for, to a page, and gives the token of the next one, where
    /// there is more. `cursor` is where a listing that ends with an item goes on.
    pub(crate) fn page<T>(
        &self,
        items: &mut Vec<T>,
        limit: usize,
        now: Timestamp,
        cursor: impl Fn(&T) -> String,
    ) -> Option<String> {
        let has_more = items.len() > limit;
        items.truncate(limit);
        items.last().filter(|_| has_more).map(|last| self.seal(&cursor(last), now))
    }

    // Not a secret: a forged token leads to a place in the same listing, which its forger may read anyway.
    fn checksum(&self, issued: i64, cursor: &str) -> u64 {
        Binding::of(&[&format!("{:x} {issued:x}", self.0), cursor]).0
    }
}

/// `maxResults`
///
/// # Errors
/// [`Error::Serialization`].
pub(crate) fn page_items(request: &mut Members<'_>) -> Result<usize, Error> {
    let items = request.integer("maxResults", 0, PAGE_ITEMS_MAX)?.unwrap_or(0);
    Ok(usize::try_from(items).ok().filter(|items| *items > 0).unwrap_or(PAGE_ITEMS_DEFAULT))
}

fn unhex(token: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = token.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { String::from_utf8(bytes?).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_on_with_its_own_listing_only() {
        let (binding, now) = (Binding::of(&["ListExecutions", "arn"]), Timestamp(1_700_000_000_000));
        let token = binding.seal("after é", now);
        assert_eq!(binding.open(&token, now).unwrap(), "after é");
        assert!(Binding::of(&["ListExecutions", "other"]).open(&token, now).is_err());
        assert!(binding.open(&token, Timestamp(now.0 + VALID_MILLIS)).is_err());
        for bad in ["", "x", "é", "00", &token[1..], &token[..token.len() - 2], &format!("{token}00")] {
            assert!(binding.open(bad, now).is_err(), "{bad}");
        }
    }
}
