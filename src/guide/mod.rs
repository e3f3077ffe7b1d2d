//! The guide: one page for each question, in the order in which they come up.
//!
//! Which page answers what stands in [the table](crate#the-guide) of the crate.
//!
//! The outputs are those of the repository's examples, most of them of `cargo run --example tour`.

#[allow(unused_imports)] // so that the pages can name things as programs do
use crate::*;

#[doc = include_str!("first_stream.md")]
pub mod first_stream {}
#[doc = include_str!("sending.md")]
pub mod sending {}
#[doc = include_str!("formats.md")]
pub mod formats {}
#[doc = include_str!("resuming.md")]
pub mod resuming {}
#[doc = include_str!("channels.md")]
pub mod channels {}
#[doc = include_str!("lifecycle.md")]
pub mod lifecycle {}
#[doc = include_str!("errors.md")]
pub mod errors {}
#[doc = include_str!("limits.md")]
pub mod limits {}
#[doc = include_str!("costs.md")]
pub mod costs {}
#[doc = include_str!("access.md")]
pub mod access {}
#[doc = include_str!("clients.md")]
pub mod clients {}
#[doc = include_str!("mcp.md")]
pub mod mcp {}
#[doc = include_str!("stopping.md")]
pub mod stopping {}
#[doc = include_str!("proxies.md")]
pub mod proxies {}
#[doc = include_str!("where_it_runs.md")]
pub mod where_it_runs {}
#[doc = include_str!("testing.md")]
pub mod testing {}
#[doc = include_str!("left_out.md")]
pub mod left_out {}
#[doc = include_str!("symptoms.md")]
pub mod symptoms {}
