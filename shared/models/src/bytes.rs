//! Numbers and texts as bytes.

/// Writes what [`Reader`] reads.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    /// A whole number: seven bits a byte, the lowest first.
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A number that may be a fraction, or nothing.
    pub(crate) fn bound(&mut self, bound: Option<f64>) {
        match bound {
            None => self.0.push(0),
            // Lengths and the like, which most bounds are.
            Some(bound) if bound >= 0.0 && bound.fract() == 0.0 && bound < WHOLE_MAX => {
                self.number(bound as u64 * 2 + 2);
            }
            Some(bound) => {
                self.0.push(1);
                self.0.extend_from_slice(&bound.to_le_bytes());
            }
        }
    }
}

/// Below it, a whole `f64` is exact and its double fits.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads a table; `None` where it ends too soon.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0_u64, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }

    pub(crate) fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    pub(crate) fn index(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let bytes = self.count()?;
        std::str::from_utf8(self.take(bytes)?).ok()
    }

    pub(crate) fn bound(&mut self) -> Option<Option<f64>> {
        Some(match self.number()? {
            0 => None,
            1 => Some(f64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            number => Some((number / 2 - 1) as f64),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bounds = [None, Some(0.0), Some(256.0), Some(-1.0), Some(0.5), Some(9e18), Some(1e300)];
        let mut writer = Writer::default();
        for number in [0, 1, 127, 128, 1 << 40, u64::MAX] {
            writer.number(number);
        }
        writer.text("é");
        bounds.into_iter().for_each(|bound| writer.bound(bound));
        let mut reader = Reader(&writer.0);
        for number in [0, 1, 127, 128, 1 << 40, u64::MAX] {
            assert_eq!(reader.number(), Some(number));
        }
        assert_eq!(reader.text(), Some("é"));
        for bound in bounds {
            assert_eq!(reader.bound(), Some(bound));
        }
        assert_eq!(reader.byte(), None);
    }

    #[test]
    fn what_ends_too_soon_is_nothing() {
        assert_eq!(Reader(&[0x80]).number(), None);
        assert_eq!(Reader(&[3, b'a']).text(), None);
        assert_eq!(Reader(&[1, 0]).bound(), None);
        assert_eq!(Reader(&[0xFF; 20]).number(), None);
    }
}
