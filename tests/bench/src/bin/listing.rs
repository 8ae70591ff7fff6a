//! Times ListExecutions.
//!
//! ```text
//! listing --endpoint URL --setup              # a machine, a version and an alias of it: prints their ARNs for `fill`
//! listing --endpoint URL --machine-arn ARN    # after `fill`: one line for each kind of listing
//! ```
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::time::Instant;
use stepwell_bench::Args;
use stepwell_bench::client::{Conn, Err};

/// How often each first page is asked for.
const TIMES: usize = 100;
/// How deep the walks go, in pages.
const PAGES: usize = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Err> {
    let args = Args::from_command_line();
    let endpoint = args.get("--endpoint").unwrap_or("http://127.0.0.1:8083".into());
    let mut client = Conn::new(&endpoint);
    if args.has("--setup") {
        return setup(&mut client).await;
    }
    let machine = args.get("--machine-arn").ok_or("--machine-arn")?;
    let (version, alias) = (format!("{machine}:1"), format!("{machine}:live"));
    for (name, arn, status) in [
        ("machine", &machine, None),
        ("SUCCEEDED", &machine, Some("SUCCEEDED")),
        ("FAILED, 1 in 20", &machine, Some("FAILED")),
        ("TIMED_OUT, 1 in 100,000", &machine, Some("TIMED_OUT")),
        ("RUNNING, none", &machine, Some("RUNNING")),
        ("version", &version, None),
        ("version, FAILED", &version, Some("FAILED")),
        ("alias", &alias, None),
        ("alias, ABORTED: none", &alias, Some("ABORTED")),
    ] {
        for limit in [100, 1000] {
            let mut query = json!({"stateMachineArn": arn, "maxResults": limit});
            if let Some(status) = status {
                query["statusFilter"] = json!(status);
            }
            let (found, first) = first_pages(&mut client, &query).await?;
            let (pages, walk) = walk(&mut client, &query).await?;
            println!(
                "{name}, {limit} a page: {found} found; first page {first}; {pages} pages in a row, each {walk}"
            );
        }
    }
    Ok(())
}

async fn setup(client: &mut Conn) -> Result<(), Err> {
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}).to_string();
    let role = "arn:aws:iam::000000000000:role/bench";
    let query = json!({"name": "listed", "definition": definition, "roleArn": role});
    let created = client.sfn("CreateStateMachine", &query).await?;
    let machine = created["stateMachineArn"].as_str().ok_or("no ARN")?;
    let published = client.sfn("PublishStateMachineVersion", &json!({"stateMachineArn": machine})).await?;
    let version = &published["stateMachineVersionArn"];
    let routing = json!([{"stateMachineVersionArn": version, "weight": 100}]);
    let alias = json!({"name": "live", "routingConfiguration": routing});
    let alias = client.sfn("CreateStateMachineAlias", &alias).await?;
    println!("{}", json!({"machine": machine, "version": version, "alias": alias["stateMachineAliasArn"]}));
    Ok(())
}

/// How many the first page holds, and how long it takes.
async fn first_pages(client: &mut Conn, query: &Value) -> Result<(usize, String), Err> {
    let (mut times, mut found) = (histogram(), 0);
    for _ in 0..TIMES {
        found = timed(client, query, &mut times).await?["executions"].as_array().map_or(0, Vec::len);
    }
    Ok((found, shown(&times)))
}

/// How many pages were read one behind the other, and how long one takes.
async fn walk(client: &mut Conn, query: &Value) -> Result<(usize, String), Err> {
    let (mut times, mut query, mut pages) = (histogram(), query.clone(), 0);
    while pages < PAGES {
        let page = timed(client, &query, &mut times).await?;
        pages += 1;
        let Some(next) = page.get("nextToken") else { break };
        query["nextToken"] = next.clone();
    }
    Ok((pages, shown(&times)))
}

async fn timed(client: &mut Conn, query: &Value, times: &mut Histogram<u64>) -> Result<Value, Err> {
    let began = Instant::now();
    let page = client.sfn("ListExecutions", query).await?;
    times.record((began.elapsed().as_micros() as u64).max(1))?;
    Ok(page)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).unwrap()
}

fn shown(times: &Histogram<u64>) -> String {
    let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
    format!("p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms", ms(0.5), ms(0.99), times.max() as f64 / 1000.0)
}
