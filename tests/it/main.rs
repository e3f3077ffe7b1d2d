//! The tests that look at brooklet from outside, in one program.
#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking

mod wire;
mod answers;
mod memory;
mod notes;
mod serving;
mod patience;
mod alone;

mod conformance;
mod streams;
mod channels;

mod random;
mod sse;
mod testing;
mod wire_law;
mod json_law;
mod parity;

mod example;
mod examples;
mod tour;
mod sensors;
mod environments;
mod consoles;
mod chat;
mod tokens;
mod mcp;
mod mcp_clients;
mod progress;
mod dashboard;
mod ticker;
mod pipe;
mod live_reload;
mod hosts;
mod pages;
mod fuzz;
mod faults;

mod servers;
mod follower;
mod ticker_scaled;
mod proxies;

mod webdriver;
mod marionette;
mod browser;
mod browser_streams;
mod browser_shared;
mod browser_channel;
mod browser_guard;
mod browser_chat;
mod browser_tokens;
mod browser_progress;
mod browser_dashboard;
mod browser_sensors;
mod browser_ticker;
mod browser_pipe;
mod browser_live_reload;

mod tidy;
mod readme;
mod api;
mod guide;
