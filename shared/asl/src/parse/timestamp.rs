//! Timestamps as definitions write them.

/// Whether `text` is an RFC 3339 date and time with an upper-case `T` and `Z` or a numeric offset (ASL: Timestamps).
pub(crate) fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = bytes.get(from..to)?;
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0')))
    };
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    let (Some(year), Some(month), Some(day)) = (number(0, 4), number(5, 7), number(8, 10)) else {
        return false;
    };
    let (Some(hour), Some(minute), Some(second)) = (number(11, 13), number(14, 16), number(17, 19)) else {
        return false;
    };
    if !(is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':')) {
        return false;
    }
    let fraction = match bytes.get(19) {
        Some(b'.') => 1 + bytes[20..].iter().take_while(|b| b.is_ascii_digit()).count(),
        _ => 0,
    };
    let zone = 19 + fraction;
    let zoned = match bytes.get(zone) {
        Some(b'Z') => bytes.len() == zone + 1,
        Some(b'+' | b'-') => {
            bytes.len() == zone + 6
                && is(zone + 3, b':')
                && number(zone + 1, zone + 3).is_some_and(|hours| hours <= 23)
                && number(zone + 4, zone + 6).is_some_and(|minutes| minutes <= 59)
        }
        _ => false,
    };
    let date = (1..=12).contains(&month) && (1..=days(year, month)).contains(&day);
    fraction != 1 && zoned && date && hour <= 23 && minute <= 59 && second <= 59
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::is_timestamp;

    #[test]
    fn knows_a_timestamp() {
        for (text, is) in [
            ("2016-12-05T21:29:29Z", true),
            ("2016-12-05T21:29:29.123456Z", true),
            ("2016-12-05T21:29:29+01:00", true),
            ("2024-02-29T00:00:00-00:00", true),
            ("2023-02-29T00:00:00Z", false),
            ("2016-12-05 21:29:29Z", false),
            ("2016-12-05T21:29:29", false),
            ("2016-12-05t21:29:29z", false),
            ("2016-13-05T21:29:29Z", false),
            ("05-12-2016T21:29:29Z", false),
            ("2016-12-05T21:29:29.Z", false),
            ("2016-12-05T21:29:29+0100", false),
            ("2016-12-05T21:29Z", false),
            ("ä016-12-05T21:29:29Z", false),
            ("", false),
        ] {
            assert_eq!(is_timestamp(text), is, "{text}");
        }
    }
}
