//! The intrinsic functions `States.*` (ASL: Intrinsic Functions).
