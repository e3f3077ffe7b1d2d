//! The guide: one page for each question, in the order in which they come up.
//!
//! | page | about |
//! |---|---|
//! | [`first_stream`] | a stream, a page that shows it, and the tool around them |
//! | [`sending`] | data, types and ids; many events at once; other threads |
//! | [`formats`] | what values look like, JSON, texts of your own |
//! | [`resuming`] | ids, and where a client goes on that comes back |
//! | [`channels`] | publish once, reach everyone |
//! | [`lifecycle`] | how a stream begins, what keeps it alive, how it ends |
//! | [`errors`] | what fails where, and who is told |
//! | [`limits`] | every bound, its default and its precedent |
//! | [`costs`] | events per second, processor time, memory, and what they grow with |
//! | [`access`] | other origins, other names, passwords |
//! | [`clients`] | browsers, libraries and SDKs: what each of them does, and the lines that work |
//! | [`mcp`] | an MCP server: tools for an assistant, without async |
//! | [`stopping`] | ending a host in bounded time |
//! | [`proxies`] | nginx, HAProxy, Caddy and Apache in front; several instances behind one address |
//! | [`where_it_runs`] | systems and processors, how that was tested; small devices; without cargo |
//! | [`testing`] | in memory by a virtual clock, and over TCP |
//! | [`left_out`] | what is not here, why, and what to use |
//! | [`symptoms`] | something is wrong: what is seen, why, what to do |
//!
//! The outputs are those of the examples in the repository, most of them of `cargo run --example tour`.

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
