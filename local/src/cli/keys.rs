//! `stepwell keys`: the access keys that requests to a server are signed with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use crate::config::Project;
use crate::keys::{AccessKey, AccessKeys, Secret};

/// Creates, lists and deletes the access keys of `stepwell local`.
///
/// A server that other machines reach, or that was started with --require-signatures, answers requests that are signed
/// with one of these keys, and no others. Keys can be created and deleted while it runs. An SDK or the AWS CLI takes a
/// key as it takes AWS's: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Creates a key and prints it, the secret for the only time
    Create {
        /// The account that requests with this key are made in [default: the project's]
        #[arg(long)]
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
}

impl Place {
    fn open(&self) -> Result<(AccessKeys, Project)> {
        let project = Project::load(&self.project)?;
        let data_dir = self.data_dir.clone().or_else(|| project.local.data_dir.clone());
        let keys = AccessKeys::of(data_dir.as_deref().unwrap_or(Path::new(".stepwell")));
        Ok((keys, project))
    }
}

impl Args {
    /// Does it.
    ///
    /// # Errors
    /// A project that cannot be read, keys that cannot be read or written.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Create { account, description, json, place } => {
                let (keys, project) = place.open()?;
                let account = account.as_deref().unwrap_or(project.local.account());
                let (key, secret) = keys.create(account, description)?;
                println!("{}", created(&key, &secret, json));
            }
            Command::List { json, place } => print!("{}", listed(&place.open()?.0.list()?, json)),
            Command::Delete { id, place } => place.open()?.0.delete(&id)?,
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
