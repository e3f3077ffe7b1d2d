//! The rows of conformance, to be run by an old compiler's program on another processor: client and host both.
#![allow(clippy::unwrap_used, dead_code)] // what other tests use is there as well

#[path = "../it/wire.rs"]
mod wire;
#[path = "../it/patience.rs"]
mod patience;
#[path = "../it/conformance/mod.rs"]
mod conformance;
