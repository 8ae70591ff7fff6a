//! The checksum of what is stored.
//!
//! The first byte of a sealed form is [`SEALED`] and its version; four bytes of CRC-32 follow, little-endian, of that byte and all
//! that comes behind them. Forms of versions before the seal begin with their version alone. No such byte becomes the
//! first byte of a sealed form, or the other way round, by a change of one bit.

use super::StoredError;

/// The bits that mark the first byte of a sealed form.
const SEALED: u8 = 0xC0;

/// Bytes before what a sealed form says: its first one and the checksum.
pub(super) const HEAD_BYTES: usize = 5;

/// The head of a form of this version, to be closed by [`seal`].
pub(super) fn head(version: u8) -> [u8; HEAD_BYTES] {
    [SEALED | version, 0, 0, 0, 0]
}

/// Writes the checksum into the head of `bytes`. `place` is where they belong; elsewhere they are damaged.
pub(super) fn seal(bytes: &mut [u8], place: &[u8]) {
    let checksum = checksum(place, bytes);
    bytes[1..HEAD_BYTES].copy_from_slice(&checksum);
}

/// The version of a stored form, and what follows its head. `first` is the first version that is sealed.
pub(super) fn open<'b>(
    what: &'static str,
    first: u8,
    bytes: &'b [u8],
    place: &[u8],
) -> Result<(u8, &'b [u8]), StoredError> {
    let damaged = |why: &str| StoredError::Damaged { what, why: why.to_owned() };
    let (head, rest) = bytes.split_first().ok_or_else(|| damaged("empty"))?;
    let version = head & !SEALED;
    match head & SEALED {
        0 if version < first => Ok((version, rest)),
        SEALED if version >= first => {
            let found = bytes.get(1..HEAD_BYTES).ok_or_else(|| damaged("its head"))?;
            if *found != checksum(place, bytes) {
                return Err(damaged("its checksum is not that of its bytes"));
            }
            Ok((version, &bytes[HEAD_BYTES..]))
        }
        _ => Err(StoredError::Version { what, version: *head }),
    }
}

fn checksum(place: &[u8], bytes: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(place);
    crc.update(&bytes[..1]);
    crc.update(&bytes[HEAD_BYTES..]);
    crc.finalize().to_le_bytes()
}
