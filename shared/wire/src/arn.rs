//! The ARNs of the API, parsed once where a request comes in.

use std::sync::Arc;

use crate::{Error, Settings};

/// An ARN that names a state machine, or something of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateMachineArn {
    text: Arc<str>,
    name_end: usize,
    is_here: bool,
}

/// What of a state machine an ARN names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier<'a> {
    /// The machine itself.
    None,
    /// A version, by its number.
    Version(u64),
    /// An alias, by its name.
    Alias(&'a str),
    /// A Map state, by its label.
    Label(&'a str),
}

/// An ARN that names an execution of a Standard state machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionArn {
    text: Arc<str>,
    is_here: bool,
}

impl StateMachineArn {
    /// Parses the ARN of a state machine, a version, an alias, or a Map state by its label.
    ///
    /// # Errors
    /// [`Error::InvalidArn`] for anything else.
    pub fn parse(text: &Arc<str>, settings: &Settings) -> Result<Self, Error> {
        let parts = Parts::of(text)?;
        if parts.resource_type != "stateMachine" {
            return Err(parts.unexpected_type());
        }
        let name_start = text.len() - parts.resource.len();
        let name_bytes = parts.resource.find([':', '/']).unwrap_or(parts.resource.len());
        Ok(StateMachineArn {
            text: text.clone(),
            name_end: name_start + name_bytes,
            is_here: parts.is_here(settings),
        })
    }

    /// The whole ARN.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The state machine's own ARN, without version, alias or label.
    pub fn machine(&self) -> &str {
        &self.text[..self.name_end]
    }

    /// What of the machine it names.
    pub fn qualifier(&self) -> Qualifier<'_> {
        let rest = &self.text[self.name_end..];
        let Some(name) = rest.strip_prefix(':') else {
            return rest.strip_prefix('/').map_or(Qualifier::None, Qualifier::Label);
        };
        match name.parse() {
            // No version is written in another way than this.
            Ok(number) if u64::to_string(&number) == name => Qualifier::Version(number),
            _ => Qualifier::Alias(name),
        }
    }

    /// Whether account and region are those served here. Nothing else can exist here.
    pub fn is_here(&self) -> bool {
        self.is_here
    }
}

impl ExecutionArn {
    /// Parses the ARN of an execution.
    ///
    /// # Errors
    /// [`Error::InvalidArn`] for anything else, `express:` executions included: no operation takes theirs.
    pub fn parse(text: &Arc<str>, settings: &Settings) -> Result<Self, Error> {
        let parts = Parts::of(text)?;
        if parts.resource_type != "execution" {
            return Err(parts.unexpected_type());
        }
        Ok(ExecutionArn { text: text.clone(), is_here: parts.is_here(settings) })
    }

    /// As [`ExecutionArn::parse`], but also of an Express execution that a Map Run started, which DescribeExecution takes.
    ///
    /// # Errors
    /// [`Error::InvalidArn`].
    pub(crate) fn parse_described(text: &Arc<str>, settings: &Settings) -> Result<Self, Error> {
        let parts = Parts::of(text)?;
        if parts.resource_type == "express" && parts.resource.contains('/') {
            return Ok(ExecutionArn { text: text.clone(), is_here: parts.is_here(settings) });
        }
        Self::parse(text, settings)
    }

    /// The whole ARN.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether account and region are those served here. Nothing else can exist here.
    pub fn is_here(&self) -> bool {
        self.is_here
    }
}

/// An ARN that names a Map Run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRunArn {
    text: Arc<str>,
    is_here: bool,
}

impl MapRunArn {
    /// Parses the ARN of a Map Run.
    ///
    /// # Errors
    /// [`Error::InvalidArn`] for anything else.
    pub fn parse(text: &Arc<str>, settings: &Settings) -> Result<Self, Error> {
        let parts = Parts::of(text)?;
        if parts.resource_type != "mapRun" {
            return Err(parts.unexpected_type());
        }
        Ok(MapRunArn { text: text.clone(), is_here: parts.is_here(settings) })
    }

    /// The whole ARN.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether account and region are those served here. Nothing else can exist here.
    pub fn is_here(&self) -> bool {
        self.is_here
    }
}

/// An ARN that names an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityArn {
    text: Arc<str>,
    is_here: bool,
}

impl ActivityArn {
    /// Parses the ARN of an activity.
    ///
    /// # Errors
    /// [`Error::InvalidArn`] for anything else.
    pub fn parse(text: &Arc<str>, settings: &Settings) -> Result<Self, Error> {
        let parts = Parts::of(text)?;
        if parts.resource_type != ACTIVITY {
            return Err(parts.unexpected_type());
        }
        Ok(ActivityArn { text: text.clone(), is_here: parts.is_here(settings) })
    }

    /// Whether `text` is of the form of an activity's ARN.
    pub(crate) fn is_one(text: &str) -> bool {
        Parts::of(text).is_ok_and(|parts| parts.resource_type == ACTIVITY)
    }

    /// The whole ARN.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether account and region are those served here. Nothing else can exist here.
    pub fn is_here(&self) -> bool {
        self.is_here
    }
}

/// The type of resource of activities.
const ACTIVITY: &str = "activity";

struct Parts<'a> {
    region: &'a str,
    account: &'a str,
    resource_type: &'a str,
    resource: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, Error> {
        let mut parts = text.splitn(7, ':');
        let mut next = || parts.next().unwrap_or_default();
        let (arn, partition, service) = (next(), next(), next());
        let (region, account, resource_type, resource) = (next(), next(), next(), next());
        if arn != "arn" || !partition.starts_with("aws") || service != "states" {
            return Err(Error::InvalidArn(format!("Invalid ARN prefix: {text}")));
        }
        if resource.is_empty() {
            return Err(Error::InvalidArn(text.to_owned()));
        }
        Ok(Parts { region, account, resource_type, resource })
    }

    fn is_here(&self, settings: &Settings) -> bool {
        settings.are(self.region, self.account)
    }

    fn unexpected_type(&self) -> Error {
        Error::InvalidArn(format!("Resource type not valid in this context: {}", self.resource_type))
    }
}

impl Settings {
    /// The ARN of a resource here, such as `arn:aws:states:us-east-1:123456789012:stateMachine:orders`.
    pub fn arn(&self, resource: &str) -> Arc<str> {
        let partition = partition(&self.region);
        format!("arn:{partition}:states:{}:{}:{resource}", self.region, self.account).into()
    }

    /// Whether `arn`, which Stepwell made, is that of a resource here.
    pub(crate) fn has(&self, arn: &str) -> bool {
        let mut parts = arn.split(':').skip(3);
        let (region, account) = (parts.next(), parts.next());
        self.are(region.unwrap_or_default(), account.unwrap_or_default())
    }

    fn are(&self, region: &str, account: &str) -> bool {
        *region == *self.region && *account == *self.account
    }
}

pub(crate) fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// Checks a name against the characters that names must not have (API: CreateStateMachine, StartExecution).
///
/// # Errors
/// [`Error::InvalidName`].
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let refused = |c: char| c.is_whitespace() || c.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c);
    if name.contains(refused) { Err(Error::InvalidName(name.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { account: "123456789012".into(), region: "us-east-1".into() }
    }

    #[test]
    fn state_machine_arns() {
        let here = "arn:aws:states:us-east-1:123456789012:";
        for (name, qualifier) in [
            ("orders", Qualifier::None),
            ("orders:2", Qualifier::Version(2)),
            ("orders:02", Qualifier::Alias("02")),
            ("orders:+2", Qualifier::Alias("+2")),
            ("orders:99999999999999999999", Qualifier::Alias("99999999999999999999")),
            ("orders:PROD", Qualifier::Alias("PROD")),
            ("orders:", Qualifier::Alias("")),
            ("orders/label", Qualifier::Label("label")),
        ] {
            let text = format!("{here}stateMachine:{name}");
            let arn = StateMachineArn::parse(&text.as_str().into(), &settings()).unwrap();
            assert_eq!((arn.machine(), arn.qualifier()), (&*format!("{here}stateMachine:orders"), qualifier));
            assert!(arn.is_here(), "{text}");
        }
        let elsewhere = "arn:aws:states:us-east-1:000000000000:stateMachine:o".into();
        assert!(!StateMachineArn::parse(&elsewhere, &settings()).unwrap().is_here());
    }

    #[test]
    fn other_arns_are_refused() {
        let check = |text: &str, message: &str| {
            let text: Arc<str> = text.into();
            let error = StateMachineArn::parse(&text, &settings()).unwrap_err();
            assert_eq!((error.name(), &*error.to_string()), ("InvalidArn", message));
        };
        check("nonsense", "Invalid Arn: 'Invalid ARN prefix: nonsense'");
        check(
            "arn:aws:lambda:us-east-1:123456789012:function:f",
            "Invalid Arn: 'Invalid ARN prefix: arn:aws:lambda:us-east-1:123456789012:function:f'",
        );
        check(
            "arn:aws:states:us-east-1:123456789012:express:m:e:1",
            "Invalid Arn: 'Resource type not valid in this context: express'",
        );
        check(
            "arn:aws:states:us-east-1:123456789012:stateMachine",
            "Invalid Arn: 'arn:aws:states:us-east-1:123456789012:stateMachine'",
        );
    }

    #[test]
    fn activity_arns() {
        let check = |text: &str, expected: Result<bool, &str>| {
            let arn = ActivityArn::parse(&text.into(), &settings());
            let found = arn.as_ref().map(ActivityArn::is_here).map_err(Error::to_string);
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        };
        check("arn:aws:states:us-east-1:123456789012:activity:dig", Ok(true));
        check("arn:aws:states:eu-west-1:123456789012:activity:dig", Ok(false));
        check("no_an_activity_arn", Err("Invalid Arn: 'Invalid ARN prefix: no_an_activity_arn'"));
        check(
            "arn:aws:states:us-east-1:123456789012:stateMachine:dig",
            Err("Invalid Arn: 'Resource type not valid in this context: stateMachine'"),
        );
        check(
            "arn:aws:states:us-east-1:123456789012:activity",
            Err("Invalid Arn: 'arn:aws:states:us-east-1:123456789012:activity'"),
        );
    }

    #[test]
    fn an_account_has_what_its_arns_name() {
        let check = |arn: &str, expected: bool| assert_eq!(settings().has(arn), expected, "{arn}");
        check("arn:aws:states:us-east-1:123456789012:execution:m:e", true);
        check("arn:aws:states:us-east-1:000000000002:execution:m:e", false);
        check("arn:aws:states:eu-west-1:123456789012:execution:m:e", false);
        check("arn:aws:states:us-east-1", false);
        check("", false);
    }

    #[test]
    fn names() {
        for name in ["a b", "a>b", "a}b", "a?b", "a\"b", "a^b", "a`b", "a:b", "\0a", "a\u{1f}", "a\u{9f}"] {
            assert_eq!(check_name(name).unwrap_err().to_string(), format!("Invalid Name: '{name}'"));
        }
        for name in ["state.machine_1", "a-b", "é", "a+b=c@d!(e)'"] {
            check_name(name).unwrap();
        }
    }
}
