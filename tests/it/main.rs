//! The tests that look at brooklet from outside, in one program.
#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking

mod wire;

mod conformance;

mod webdriver;
mod browser;

mod tidy;
