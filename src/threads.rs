//! The making of threads, with the stack that was asked for.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

/// Of the threads that all hosts share, in bytes; zero is std's own size.
static SHARED_STACK_SIZE: AtomicUsize = AtomicUsize::new(0);

/// What a thread does. In a box: without it, the compiler would repeat std's code that makes a thread for each kind of work.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

pub(crate) fn make(name: &str, work: Work, stack_size: Option<usize>) -> io::Result<ThreadId> {
    let mut builder = thread::Builder::new().name(String::from(name));
    if let Some(bytes) = stack_size {
        builder = builder.stack_size(bytes);
    }
    builder.spawn(work).map(|made| made.thread().id())
}

/// Makes a thread that works for all hosts of the process.
pub(crate) fn make_shared(name: &str, work: Work) -> io::Result<ThreadId> {
    let bytes = SHARED_STACK_SIZE.load(Ordering::Relaxed);
    make(name, work, (bytes > 0).then_some(bytes))
}

/// For the shared threads that are made from now on.
pub(crate) fn set_shared_stack_size(bytes: Option<usize>) {
    if let Some(bytes) = bytes {
        SHARED_STACK_SIZE.store(bytes.max(1), Ordering::Relaxed);
    }
}
