//! DynamoDB on loopback, in memory, for one test process: it prints its address, and ends when its standard input does.

use std::io::Read;

#[tokio::main]
async fn main() {
    let database = dynoxide::Database::memory().expect("SQLite opens a database in memory");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    println!("http://{}", listener.local_addr().expect("it is bound"));
    // Whoever started this has died, however that was, when nothing holds the other end any more.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    dynoxide::server::serve_on(listener, database).await;
}
