//! What this machine can do at best: durable writes, SQLite group commit, JSON, in that order.
//!   limits --dir DIR [--seconds 3]
use std::io::{Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

fn fsyncs(dir: &str, secs: f64, prealloc: bool, size: usize) -> (f64, f64, f64) {
    let p = format!("{dir}/limits-fsync.tmp");
    let mut f =
        std::fs::OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&p).unwrap();
    let buf = vec![7u8; size];
    if prealloc {
        let z = vec![0u8; 1 << 20];
        for _ in 0..16 {
            f.write_all(&z).unwrap();
        }
        f.sync_all().unwrap();
        f.seek(SeekFrom::Start(0)).unwrap();
    }
    let t = Instant::now();
    let mut lat = vec![];
    let mut off = 0u64;
    while t.elapsed() < Duration::from_secs_f64(secs) {
        let a = Instant::now();
        f.write_all(&buf).unwrap();
        f.sync_data().unwrap();
        lat.push(a.elapsed().as_secs_f64() * 1e3);
        off += size as u64;
        if prealloc && off + size as u64 > (16 << 20) {
            off = 0;
            f.seek(SeekFrom::Start(0)).unwrap();
        }
    }
    let n = lat.len() as f64 / t.elapsed().as_secs_f64();
    lat.sort_by(|a, b| a.total_cmp(b));
    let _ = std::fs::remove_file(&p);
    (n, lat[lat.len() / 2], lat[lat.len() * 99 / 100])
}

fn sqlite(dir: &str, secs: f64, sync: &str, batch: usize, row: usize) -> (f64, f64) {
    let p = format!("{dir}/limits.db");
    for s in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{p}{s}"));
    }
    let mut c = rusqlite::Connection::open(&p).unwrap();
    c.pragma_update(None, "journal_mode", "WAL").unwrap();
    c.pragma_update(None, "synchronous", sync).unwrap();
    c.execute_batch("create table ev(x integer, s integer, b blob, primary key(x,s)) without rowid").unwrap();
    let blob = vec![b'x'; row];
    let t = Instant::now();
    let (mut rows, mut commits) = (0u64, 0u64);
    while t.elapsed() < Duration::from_secs_f64(secs) {
        let tx = c.transaction().unwrap();
        {
            let mut st = tx.prepare_cached("insert into ev values(?,?,?)").unwrap();
            for _ in 0..batch {
                st.execute(rusqlite::params![(rows / 10) as i64, (rows % 10) as i64, &blob]).unwrap();
                rows += 1;
            }
        }
        tx.commit().unwrap();
        commits += 1;
    }
    let e = t.elapsed().as_secs_f64();
    drop(c);
    for s in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{p}{s}"));
    }
    (rows as f64 / e, commits as f64 / e)
}

/// A log file of our own: append `batch` records of `row` bytes, one fdatasync each batch.
fn log(dir: &str, secs: f64, batch: usize, row: usize) -> (f64, f64) {
    let (n, _, _) = fsyncs(dir, secs, true, batch * row);
    (n * batch as f64, n)
}

fn timeit(secs: f64, mut f: impl FnMut()) -> f64 {
    let t = Instant::now();
    let mut n = 0u64;
    while t.elapsed() < Duration::from_secs_f64(secs) {
        for _ in 0..8 {
            f();
        }
        n += 8;
    }
    t.elapsed().as_secs_f64() * 1e6 / n as f64
}

fn main() {
    let a = stepwell_bench::Args::from_command_line();
    let dir = a.get("--dir").unwrap_or(".".into());
    let s: f64 = a.num("--seconds", 3.0);
    for (n, pre, size) in [
        ("append 4 KiB", false, 4096),
        ("overwrite 4 KiB", true, 4096),
        ("overwrite 64 KiB", true, 65536),
        ("overwrite 1 MiB", true, 1 << 20),
    ] {
        let (r, p50, p99) = fsyncs(&dir, s, pre, size);
        println!("fdatasync {n}: {r:.0}/s p50 {p50:.2} ms p99 {p99:.2} ms");
    }
    for sync in ["FULL", "NORMAL"] {
        for b in [1, 16, 64, 256, 1024] {
            let (r, c) = sqlite(&dir, s, sync, b, 200);
            println!("sqlite WAL synchronous={sync} batch {b} x 200 B: {r:.0} rows/s, {c:.0} commits/s");
        }
    }
    for b in [1, 64, 1024] {
        let (r, c) = log(&dir, s, b, 200);
        println!("own log batch {b} x 200 B: {r:.0} records/s, {c:.0} syncs/s");
    }
    let big = stepwell_bench::big_input();
    let v: serde_json::Value = serde_json::from_str(&big).unwrap();
    let small = r#"{"n":7,"who":"bench","items":[1,2,3],"deep":{"a":{"b":"c"}}}"#;
    println!(
        "json parse {} B to a tree: {:.1} us",
        big.len(),
        timeit(1.0, || {
            std::hint::black_box(serde_json::from_str::<serde_json::Value>(&big).unwrap());
        })
    );
    println!(
        "json write {} B from a tree: {:.1} us",
        big.len(),
        timeit(1.0, || {
            std::hint::black_box(v.to_string());
        })
    );
    println!(
        "json check {} B, no tree: {:.1} us",
        big.len(),
        timeit(1.0, || {
            std::hint::black_box(serde_json::from_str::<serde::de::IgnoredAny>(&big).unwrap());
        })
    );
    println!(
        "json parse {} B: {:.3} us",
        small.len(),
        timeit(1.0, || {
            std::hint::black_box(serde_json::from_str::<serde_json::Value>(small).unwrap());
        })
    );
}
