//! What every store of Activities does.

use std::sync::Arc;

use futures::FutureExt;
use stepwell_engine::meta::RunId;
use stepwell_engine::port::{Activities, Activity, WaitingTask};
use stepwell_interpreter::{AttemptId, Timestamp};

use super::arn;
use crate::activity;

/// What every store of Activities does, of the activities themselves.
pub async fn activities(port: &dyn Activities) {
    let one = Arc::new(full("Suite"));
    assert!(found(port, &one.arn).await.is_none());
    assert!(!port.update(one.clone(), &one).await.expect("answered"), "there is none to update");
    assert_eq!(port.create(one.clone()).await.expect("created"), one);
    let other = Arc::new(Activity { created_at: Timestamp(9), ..(*one).clone() });
    assert_eq!(port.create(other).await.expect("answered"), one, "what is there stays");
    assert_eq!(found(port, &one.arn).await, Some(one.clone()));

    let two = Arc::new(Activity { tags: vec![], encryption: None, ..(*one).clone() });
    assert!(port.update(two.clone(), &one).await.expect("updated"));
    assert!(!port.update(one.clone(), &one).await.expect("answered"), "it has changed meanwhile");
    assert_eq!(found(port, &one.arn).await, Some(two));

    for name in ["SuiteB", "SuiteA", "SuiteC"] {
        port.create(Arc::new(activity(name))).await.expect("created");
    }
    let mut names = vec![];
    let mut after: Option<Arc<str>> = None;
    loop {
        let listed = port.list(after.as_deref(), 2).await.expect("the store answers");
        let Some(last) = listed.last() else { break };
        after = Some(last.arn.clone());
        names.extend(listed.iter().map(|activity| activity.name.to_string()));
    }
    assert_eq!(names, ["Suite", "SuiteA", "SuiteB", "SuiteC"]);

    port.delete(&one.arn).await.expect("deleted");
    port.delete(&one.arn).await.expect("it is deleted already");
    assert!(found(port, &one.arn).await.is_none());
    assert_eq!(port.create(one.clone()).await.expect("created"), one);
}

/// What every store of Activities does, of the tasks that wait. `settle` returns when what was offered can be seen.
pub async fn waiting_tasks(port: &dyn Activities, settle: impl AsyncFn()) {
    let (a, b) = (activity("A").arn, activity("B").arn);
    let task = |activity: &Arc<str>, run, attempt| WaitingTask {
        activity: activity.clone(),
        execution: arn("waiting").into(),
        run: RunId(run),
        attempt: AttemptId(attempt),
    };
    let waiting = async |activity: &Arc<str>, limit| {
        settle().await;
        let tasks = port.waiting(activity, limit).await.expect("the store answers");
        tasks.into_iter().map(|task| (task.run.0, task.attempt.0)).collect::<Vec<_>>()
    };
    assert_eq!(waiting(&a, 9).await, []);
    let arrival = port.arrival(&a, 0);
    for (activity, run, attempt) in [(&a, 7, 2), (&b, 7, 1), (&a, 7, 1), (&a, u128::MAX, 1), (&a, 7, 2)] {
        port.offer(task(activity, run, attempt)).await.expect("offered");
    }
    assert_eq!(waiting(&a, 9).await, [(7, 2), (7, 1), (u128::MAX, 1)], "each keeps its place");
    assert_eq!(waiting(&a, 2).await, [(7, 2), (7, 1)]);
    assert_eq!(waiting(&b, 9).await, [(7, 1)]);
    assert!(arrival.now_or_never().is_some(), "something came since");

    port.forget(&task(&a, 7, 2)).await.expect("forgotten");
    port.forget(&task(&a, 7, 2)).await.expect("it is forgotten already");
    assert_eq!(waiting(&a, 9).await, [(7, 1), (u128::MAX, 1)]);
    port.offer(task(&a, 7, 2)).await.expect("offered");
    assert_eq!(waiting(&a, 9).await, [(7, 1), (u128::MAX, 1), (7, 2)], "one that comes anew is the last");

    let mut arrival = port.arrival(&b, 0);
    assert!((&mut arrival).now_or_never().is_none(), "nothing came since");
    port.offer(task(&b, 7, 9)).await.expect("offered");
    arrival.await;
    assert_eq!(waiting(&b, 9).await, [(7, 1), (7, 9)]);
}

async fn found(port: &dyn Activities, arn: &str) -> Option<Arc<Activity>> {
    port.activity(arn).await.expect("the store answers")
}

/// An activity with something in every field.
fn full(name: &str) -> Activity {
    Activity {
        created_at: Timestamp(1_000),
        encryption: Some(r#"{"type":"AWS_OWNED_KEY"}"#.into()),
        tags: vec![("b".into(), "2".into()), ("a".into(), "ö \"1\"".into())],
        ..activity(name)
    }
}
