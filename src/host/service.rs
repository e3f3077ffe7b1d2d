//! What the threads of a host and its [`Control`](super::Control) share: made before the host, and there after it has
//! ended.

use std::sync::Arc;

use super::deferred::Deferred;
use super::listener::Listeners;
use super::slots::Slots;
use crate::http::StopSignal;

#[derive(Default)]
pub(super) struct Service {
    pub(super) stop: StopSignal,
    pub(super) listeners: Listeners,
    pub(super) slots: Arc<Slots>,
    pub(super) deferred: Arc<Deferred>,
}
