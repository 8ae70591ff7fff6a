//! Access keys that Stepwell issues, and the signatures of requests made with them.
//!
//! This crate knows how a key's secret is drawn from a root ([`Root`]), and whether a request is what the owner of a key signed
//! ([`Claim`]; AWS Signature Version 4). `stepwell local` and the deployed functions ask it alike. It does not know where keys and
//! roots are kept, nor what became of a signature before; it reads no environment, and speaks no HTTP.

mod key;
mod signature;

pub use key::{
    AccessKey, ID_PREFIX, KEYS_MAX, NoRandomness, ROOT_BYTES, Root, Secret, is_account, is_key_id,
};
pub use signature::{Claim, Head, WINDOW_SECONDS};
