//! Timestamps as AWS reads and writes them; no clock.

/// Reads an ISO-8601 extended offset date-time, such as `2016-03-14T01:59:00.123Z` or `2016-03-14T01:59+01:00`, into
/// nanoseconds since 1970-01-01T00:00:00Z.
///
/// What Java's `ISO_OFFSET_DATE_TIME` reads, with `T` and `Z` in upper case as ASL wants them: four digits of year,
/// seconds optional, at most nine digits of fraction, an offset of at most 18 hours.
pub fn parse(text: &str) -> Option<i128> {
    read(text, false)
}

/// Whether `text` is a timestamp as a definition's literals must have it: [`parse`], with seconds (RFC 3339).
pub fn is_rfc3339(text: &str) -> bool {
    read(text, true).is_some()
}

/// Writes milliseconds since 1970-01-01T00:00:00Z as the Context object has them: `2016-03-14T01:59:00.123Z`.
pub fn format_ms(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = date_of(days);
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

const DAY_MS: i64 = 86_400_000;

fn read(text: &str, seconds_required: bool) -> Option<i128> {
    let mut reader = Reader(text.as_bytes());
    let (year, month, day) = (reader.digits(4)?, reader.after(b'-')?, reader.after(b'-')?);
    let (hour, minute) = (reader.sign(b'T').and_then(|()| reader.digits(2))?, reader.after(b':')?);
    let (mut second, mut nanos) = (0, 0);
    if reader.sign(b':').is_some() {
        second = reader.digits(2)?;
        if reader.sign(b'.').is_some() {
            nanos = reader.fraction()?;
        }
    } else if seconds_required {
        return None;
    }
    let offset = reader.offset()?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range || !reader.0.is_empty() {
        return None;
    }
    let seconds = days_of(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(i128::from(seconds) * 1_000_000_000 + i128::from(nanos))
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn sign(&mut self, sign: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[sign])?;
        Some(())
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0, |number, digit| match digit {
            b'0'..=b'9' => Some(number * 10 + i64::from(digit - b'0')),
            _ => None,
        })
    }

    fn after(&mut self, sign: u8) -> Option<i64> {
        self.sign(sign)?;
        self.digits(2)
    }

    fn fraction(&mut self) -> Option<i64> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match count {
            0 | 10.. => None,
            _ => Some(self.digits(count)? * 10_i64.pow(9 - count as u32)),
        }
    }

    /// Seconds east of Greenwich.
    fn offset(&mut self) -> Option<i64> {
        if self.sign(b'Z').is_some() {
            return Some(0);
        }
        let direction = match self.sign(b'+') {
            Some(()) => 1,
            None => self.sign(b'-').map(|()| -1)?,
        };
        let (hours, minutes) = (self.digits(2)?, self.after(b':')?);
        let seconds = if self.0.is_empty() { 0 } else { self.after(b':')? };
        let offset = hours * 3600 + minutes * 60 + seconds;
        (minutes < 60 && seconds < 60 && offset <= 18 * 3600).then_some(direction * offset)
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01. Years begin in March here, so that the leap day comes last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_aws_reads() {
        for (text, ns) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2016-03-14T01:59:00Z", 1_457_920_740_000_000_000),
            ("2016-03-05T21:29:29.243167252Z", 1_457_213_369_243_167_252),
            ("2026-11-20T03:04:14.000000Z", 1_795_143_854_000_000_000),
            ("2016-03-14T02:59:00+01:00", 1_457_920_740_000_000_000),
            ("2016-03-14T01:59Z", 1_457_920_740_000_000_000),
            ("2000-02-29T00:00:00-00:30", 951_784_200_000_000_000),
            ("1969-12-31T23:59:59.5Z", -500_000_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000_000_000),
        ] {
            assert_eq!(parse(text), Some(ns), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "2016-12-05 21:29:29Z",
            "2016-12-05T21:29:29",
            "2026-11-20T03:04:14.000000",
            "2016-12-05t21:29:29Z",
            "2016-12-05T21:29:29z",
            "2016-13-05T21:29:29Z",
            "2016-12-05T25:29:29Z",
            "2016-12-05T24:00:00Z",
            "2016-02-30T00:00:00Z",
            "2015-02-29T00:00:00Z",
            "05-12-2016T21:29:29Z",
            "2016-12-05T21:29:60Z",
            "2016-12-05T21:29:29.Z",
            "2016-12-05T21:29:29.1234567890Z",
            "2016-12-05T21:29:29Z ",
            "2016-12-05T21:29:29+0100",
            "2016-12-05T21:29:29+19:00",
            "2016-12-05",
            "２016-12-05T21:29:29Z",
            "2016-12-05T21:29:29é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert!(!is_rfc3339("2016-03-14T01:59Z"));
        assert!(is_rfc3339("2016-03-14T01:59:00+01:00"));
    }

    #[test]
    fn writes_milliseconds() {
        for text in [
            "1970-01-01T00:00:00.000Z",
            "2024-02-29T23:59:59.999Z",
            "1969-12-31T23:59:59.001Z",
            "2100-03-01T00:00:00.000Z",
        ] {
            assert_eq!(format_ms((parse(text).unwrap() / 1_000_000) as i64), text);
        }
        format_ms(i64::MAX);
        format_ms(i64::MIN);
    }
}
