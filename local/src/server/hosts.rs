//! Names under which the server answers.
//!
//! A web page can let its own name point at 127.0.0.1 and so make a browser call this server as the page's own (DNS
//! rebinding). The header `Host` then bears the page's name, which is none of these.

use std::net::{IpAddr, Ipv6Addr};

/// The names that `Host` may bear.
pub(super) struct Hosts(Vec<String>);

/// What SDKs put before the host's name for StartSyncExecution and TestState.
const SYNC_PREFIX: &str = "sync-";

impl Hosts {
    /// Loopback's own names, and `names`.
    pub(super) fn new<'n>(names: impl IntoIterator<Item = &'n String>) -> Self {
        Hosts(names.into_iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether a request with this `Host` is answered.
    pub(super) fn contain(&self, host: &str) -> bool {
        let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        let plain = name.strip_prefix(SYNC_PREFIX).unwrap_or(&name);
        [name.as_str(), plain].iter().any(|name| self.is_known(name))
    }

    fn is_known(&self, name: &str) -> bool {
        // An address is nobody's name: no page can have it for its own.
        let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        name == "localhost"
            || name.ends_with(".localhost")
            || name.parse::<IpAddr>().is_ok()
            || address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
            || self.0.iter().any(|known| known == name)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_and_configured_names() {
        let hosts = Hosts::new(&["Stepwell.internal".to_owned()]);
        for host in [
            "localhost",
            "localhost:8083",
            "LOCALHOST:1",
            "sync-localhost:8083",
            "stepwell.localhost",
            "sync-stepwell.localhost:8083",
            "127.0.0.1:8083",
            "sync-127.0.0.1:8083",
            "[::1]:8083",
            "10.0.0.7:8083",
            "stepwell.internal",
            "sync-stepwell.internal:80",
            "localhost.",
        ] {
            assert!(hosts.contain(host), "{host}");
        }
        for host in [
            "",
            ":",
            "evil.example",
            "localhost.evil.example:8083",
            "sync-",
            "[::1",
            "127.0.0.1.evil.example",
        ] {
            assert!(!hosts.contain(host), "{host}");
        }
    }
}
