//! Where a deployed API is reached, and which of its addresses answers an operation.

use std::fmt;

use hyper::Uri;

/// One address of a deployed API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Scheme, host and path, without a slash at its end.
    url: String,
    /// What signs for it.
    pub door: Door,
    /// The region that its host's name says, if it does.
    pub region: Option<String>,
    /// Whether it is on this machine, where an emulator takes any signature.
    pub is_emulated: bool,
}

/// What lets requests in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// API Gateway, which gives an answer 30 seconds.
    ApiGateway,
    /// A Function URL, which waits as long as the function may take.
    FunctionUrl,
}

/// What is no address of an API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address of an API: it begins with https:// (or http://), names a host, and has no query"
)]
pub struct UrlError(String);

/// The addresses of a deployed API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    /// What answers everything that is answered soon.
    pub endpoint: Upstream,
    /// What answers operations that may last over 30 seconds.
    pub lasting: Option<Upstream>,
    /// What answers operations of these names.
    pub named: Vec<(String, Upstream)>,
}

/// Characters of an operation's name at most.
const OPERATION_MAX: usize = 100;

/// The operations that may take longer than API Gateway waits.
pub const LASTING: [&str; 3] = ["StartSyncExecution", "TestState", "GetActivityTask"];

impl Door {
    /// The service's name in signatures.
    pub fn service(self) -> &'static str {
        match self {
            Door::ApiGateway => "execute-api",
            Door::FunctionUrl => "lambda",
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Door::ApiGateway => "API Gateway",
            Door::FunctionUrl => "the Function URL",
        })
    }
}

impl Upstream {
    /// Reads an address. A name that does not tell what it leads to, such as a domain of the user's, leads to `door`.
    ///
    /// # Errors
    /// [`UrlError`]
    pub fn parse(text: &str, door: Door) -> Result<Self, UrlError> {
        let wrong = || UrlError(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?.to_ascii_lowercase();
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_http || uri.query().is_some() || text.contains(['#', '@']) {
            return Err(wrong());
        }
        let after = |label: &str| {
            let (_, rest) = host.split_once(label)?;
            rest.split('.').next().filter(|region| region.contains('-')).map(str::to_owned)
        };
        let (door, region) = if host.contains(API_GATEWAY) {
            (Door::ApiGateway, after(API_GATEWAY))
        } else if host.contains(FUNCTION_URL) {
            (Door::FunctionUrl, after(FUNCTION_URL))
        } else {
            (door, None)
        };
        let is_emulated = uri.scheme_str() == Some("http");
        Ok(Upstream { url: text.trim_end_matches('/').to_owned(), door, region, is_emulated })
    }

    /// Where an operation is asked for here. In API Gateway each has a path of its own, so that policies can tell them apart.
    pub fn address(&self, operation: &str) -> String {
        let is_name =
            operation.len() <= OPERATION_MAX && operation.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let own = self.door == Door::ApiGateway && is_name;
        format!("{}/{}", self.url, if own { operation } else { "" })
    }

    /// What a caller needs to be allowed, for people.
    pub fn permission(&self) -> String {
        let host = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let id = host.split(['.', '/', ':']).next().unwrap_or_default();
        let region = self.region.as_deref().unwrap_or("REGION");
        match self.door {
            Door::ApiGateway => {
                format!("execute-api:Invoke on arn:aws:execute-api:{region}:ACCOUNT:{id}/*/POST/*")
            }
            Door::FunctionUrl => {
                format!("lambda:InvokeFunctionUrl and lambda:InvokeFunction on the function of {host}")
            }
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

const API_GATEWAY: &str = ".execute-api.";
const FUNCTION_URL: &str = ".lambda-url.";

impl Routes {
    /// Everything goes to `endpoint`.
    pub fn to(endpoint: Upstream) -> Self {
        Routes { endpoint, lasting: None, named: vec![] }
    }

    /// What answers `operation`.
    pub fn of(&self, operation: &str) -> &Upstream {
        let named = self.named.iter().find(|(name, _)| name == operation).map(|(_, upstream)| upstream);
        let lasting = self.lasting.as_ref().filter(|_| LASTING.contains(&operation));
        named.or(lasting).unwrap_or(&self.endpoint)
    }

    /// All addresses, each once.
    pub fn all(&self) -> Vec<&Upstream> {
        let mut all = vec![&self.endpoint];
        for upstream in self.lasting.iter().chain(self.named.iter().map(|(_, upstream)| upstream)) {
            if !all.contains(&upstream) {
                all.push(upstream);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: &str = "https://abc123.execute-api.eu-west-1.amazonaws.com";
    const URL: &str = "https://xyz.lambda-url.eu-west-1.on.aws/";

    fn upstream(text: &str) -> Upstream {
        Upstream::parse(text, Door::ApiGateway).unwrap()
    }

    #[test]
    fn a_host_tells_the_service_and_the_region() {
        let check = |text: &str, service: &str, region: Option<&str>, emulated: bool| {
            let upstream = upstream(text);
            assert_eq!(
                (upstream.door.service(), upstream.region.as_deref()),
                (service, region),
                "{text} {upstream:?}"
            );
            assert_eq!(upstream.is_emulated, emulated, "{text}");
        };
        check(GATEWAY, "execute-api", Some("eu-west-1"), false);
        check(
            "https://a-vpce-1.execute-api.cn-north-1.amazonaws.com.cn/prod/",
            "execute-api",
            Some("cn-north-1"),
            false,
        );
        check(URL, "lambda", Some("eu-west-1"), false);
        check("https://sfn.example.com", "execute-api", None, false);
        check("http://abc.execute-api.localhost:4566", "execute-api", None, true);
        check("http://127.0.0.1:4566/_api/x", "execute-api", None, true);
        let named = Upstream::parse("https://long.example.com", Door::FunctionUrl).unwrap();
        assert_eq!(named.door, Door::FunctionUrl);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "abc",
            "ftp://a",
            "https://",
            "https://a/?b=c",
            "https://a/#b",
            "https://k:s@a/",
            "/x",
            "https:///x",
        ] {
            assert!(Upstream::parse(text, Door::ApiGateway).is_err(), "{text}");
        }
    }

    #[test]
    fn each_operation_has_its_address() {
        let mut routes = Routes::to(upstream(&format!("{GATEWAY}/prod/")));
        let check = |routes: &Routes, operation: &str, expected: &str| {
            assert_eq!(routes.of(operation).address(operation), expected, "{operation}");
        };
        let own = |name: &str| format!("{GATEWAY}/prod/{name}");
        for name in ["StartExecution", "SendTaskSuccess", "ListExecutions", "TestState", "Nonsense"] {
            check(&routes, name, &own(name));
        }
        for name in ["", "a/b", "é", "..", "a b", &"x".repeat(101)] {
            check(&routes, name, &own(""));
        }
        routes.lasting = Some(upstream(URL));
        for name in LASTING {
            check(&routes, name, URL);
        }
        check(&routes, "StartExecution", &own("StartExecution"));
        routes
            .named
            .push(("StartSyncExecution".into(), upstream("https://start.lambda-url.eu-west-1.on.aws")));
        check(&routes, "StartSyncExecution", "https://start.lambda-url.eu-west-1.on.aws/");
        check(&routes, "TestState", URL);
        assert_eq!(routes.all().len(), 3);
        // A Function URL may be all that there is.
        check(&Routes::to(upstream(URL)), "StartExecution", URL);
    }
}
