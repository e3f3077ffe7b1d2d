//! The `sensors` example: the latest of those that are wanted at once, and then what changes of them.

use std::collections::BTreeSet;

use brooklet::testing::Message;

use crate::example::{check_refusal, Tool};
use crate::patience::eventually;

#[test]
fn readings() {
    let tool = Tool::start("sensors", &[]);
    // The thread that measures may begin later than the host.
    eventually("all are there at once", || sensors(&tool, "/live", 20).len() == 20);
    assert_eq!(sensors(&tool, "/live?of=1,20", 10), BTreeSet::from([1, 20]));
    assert_eq!(sensors(&tool, "/live?of=7&pace=1", 4), BTreeSet::from([7]));
    assert_eq!(sensors(&tool, "/live?of=7,none&pace=soon", 4), BTreeSet::from([7]));

    // Who comes back gets what has changed since, in the order in which it did.
    let first = tool.stream("/live?of=2", "").next_events(3).unwrap();
    let back = tool.stream("/live?of=2", &first[0].last_event_id).next_event().unwrap();
    let number = |event: &Message| event.last_event_id.rsplit('-').next().unwrap().parse::<u64>().unwrap();
    assert!(number(&back) >= number(&first[2]), "{back} after {first:?}");
    assert!(back.data.starts_with(r#"{"sensor":2,"name":"Kitchen, humidity","unit":"%","value":"#), "{back}");
    assert_eq!(tool.get("/").status, 200);
    check_refusal("sensors", &["8080", "8081"], "there is no place for 8081");
}

/// Which sensors the first events of a stream are about.
#[track_caller]
fn sensors(tool: &Tool, target: &str, events: usize) -> BTreeSet<u32> {
    let sensor = |event: &Message| {
        let rest = event.data.strip_prefix(r#"{"sensor":"#).expect("all begin like that");
        rest.split(',').next().unwrap().parse().unwrap()
    };
    tool.stream(target, "").next_events(events).unwrap().iter().map(sensor).collect()
}
