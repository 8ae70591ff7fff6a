//! `stepwell keys`: the access keys that requests to a server, or to a deployment, are signed with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use crate::config::Project;
use crate::deployed_keys::DeployedKeys;
use crate::keys::{AccessKey, AccessKeys, Secret};

/// Creates, lists and deletes access keys: of `stepwell local`, or of a deployment (--stack, --function).
///
/// A server that other machines reach, or that was started with --require-signatures, answers requests that are signed
/// with one of these keys, and no others. Keys can be created and deleted while it runs. An SDK or the AWS CLI takes a
/// key as it takes AWS's: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. A deployment with the parameter IssueKeys answers such
/// requests at its output KeysUrl; whoever may invoke the function of its output KeysFunctionArn may manage its keys.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Creates a key and prints it, the secret for the only time
    Create {
        /// The account that requests with this key are made in [default: the project's]; a deployment has but its own
        #[arg(long, conflicts_with_all = ["stack", "function"])]
        account: Option<String>,
        /// What the key is for, as `list` is to show it
        #[arg(long)]
        description: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Lists the keys, without their secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Deletes a key: nothing signed with it is answered any more
    #[command(visible_alias = "remove")]
    Delete {
        /// The key's id
        id: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Where the server keeps its executions [default: .stepwell]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The folder of the project that says where that is
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// The CloudFormation stack of a deployment
    #[arg(long, value_name = "NAME", conflicts_with_all = ["data_dir", "function"])]
    stack: Option<String>,
    /// The Lambda function of a deployment that issues keys, by its name or ARN
    #[arg(long, value_name = "NAME", conflicts_with = "data_dir")]
    function: Option<String>,
    /// The profile in your AWS files, for a deployment [default: AWS_PROFILE, or default]
    #[arg(long)]
    profile: Option<String>,
    /// The region of a deployment [default: AWS_REGION, or the profile's]
    #[arg(long)]
    region: Option<String>,
}

impl Place {
    fn open(&self) -> Result<(AccessKeys, Project)> {
        let project = Project::load(&self.project)?;
        let data_dir = self.data_dir.clone().or_else(|| project.local.data_dir.clone());
        let keys = AccessKeys::of(data_dir.as_deref().unwrap_or(Path::new(".stepwell")));
        Ok((keys, project))
    }

    /// The deployment, where one is meant.
    async fn deployed(&self) -> Result<Option<DeployedKeys>> {
        let (profile, region) = (self.profile.as_deref(), self.region.as_deref());
        match (&self.function, &self.stack) {
            (Some(function), _) => DeployedKeys::of_function(function, profile, region).await.map(Some),
            (None, Some(stack)) => DeployedKeys::of_stack(stack, profile, region).await.map(Some),
            (None, None) => Ok(None),
        }
    }
}

impl Args {
    /// Does it.
    ///
    /// # Errors
    /// A project that cannot be read, a deployment that does not answer, keys that cannot be read or written.
    pub async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Create { account, description, json, place } => {
                if let Some(deployed) = place.deployed().await? {
                    let created_key = deployed.create(description.as_deref()).await?;
                    println!(
                        "{}",
                        if json { format!("{created_key:#}") } else { lines(&created_key, deployed.url()) }
                    );
                    return Ok(ExitCode::SUCCESS);
                }
                let (keys, project) = place.open()?;
                let account = account.as_deref().unwrap_or(project.local.account());
                let (key, secret) = keys.create(account, description)?;
                println!("{}", created(&key, &secret, json));
            }
            Command::List { json, place } => match place.deployed().await? {
                Some(deployed) => print!("{}", listed(&deployed.list().await?, json)),
                None => print!("{}", listed(&place.open()?.0.list()?, json)),
            },
            Command::Delete { id, place } => match place.deployed().await? {
                Some(deployed) => deployed.delete(&id).await?,
                None => place.open()?.0.delete(&id)?,
            },
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What a new key is shown as: lines for a shell, or what `aws iam create-access-key` answers.
fn created(key: &AccessKey, secret: &Secret, json: bool) -> String {
    let (id, secret) = (&key.id, secret.reveal());
    if json {
        let shown = serde_json::json!({"AccessKey": {
            "AccessKeyId": id, "SecretAccessKey": secret, "Account": key.account, "CreateDate": date(key),
        }});
        return format!("{shown:#}");
    }
    format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}")
}

/// A deployment's new key for a shell, and where it opens.
fn lines(created: &serde_json::Value, url: Option<&str>) -> String {
    let member = |name: &str| created["AccessKey"][name].as_str().unwrap_or_default();
    let (id, secret) = (member("AccessKeyId"), member("SecretAccessKey"));
    let lines = format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}");
    url.map_or(lines.clone(), |url| format!("{lines}\nAWS_ENDPOINT_URL_SFN={url}"))
}

fn listed(keys: &[AccessKey], json: bool) -> String {
    if json {
        let all = keys.iter().map(|key| {
            serde_json::json!({
                "AccessKeyId": key.id, "Account": key.account, "CreateDate": date(key), "Description": key.description,
            })
        });
        return format!("{:#}\n", serde_json::json!({"AccessKeys": all.collect::<Vec<_>>()}));
    }
    let line = |key: &AccessKey| {
        let description = key.description.as_deref().unwrap_or_default();
        // A description is the user's own, and is not to move the cursor.
        let plain: String = description.chars().filter(|c| !c.is_control()).collect();
        format!("{}  {}  {}  {plain}", key.id, key.account, date(key)).trim_end().to_owned() + "\n"
    };
    keys.iter().map(line).collect()
}

fn date(key: &AccessKey) -> String {
    jiff::Timestamp::from_millisecond(key.created_at)
        .unwrap_or_default()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_for_shells_and_programs() {
        let folder = tempfile::tempdir().unwrap();
        let keys = AccessKeys::of(folder.path());
        let (key, secret) = keys.create("123456789012", Some("ci\u{1b}[2J".into())).unwrap();
        let shown = created(&key, &secret, false);
        assert_eq!(shown, format!("AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}", key.id, secret.reveal()));
        let json: serde_json::Value = serde_json::from_str(&created(&key, &secret, true)).unwrap();
        assert_eq!(json["AccessKey"]["SecretAccessKey"], secret.reveal());
        let all = keys.list().unwrap();
        let line = listed(&all, false);
        assert!(
            line.starts_with(&format!("{}  123456789012  20", key.id)) && line.ends_with("  ci[2J\n"),
            "{line}"
        );
        for shown in [line, listed(&all, true)] {
            assert!(!shown.contains(secret.reveal()));
        }
    }
}
