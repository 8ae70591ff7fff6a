//! Access keys that Stepwell issues, for servers that other machines reach.
//!
//! Two files beside the store, both readable by their owner alone: `access-keys.json` says which keys there are and
//! whose, and `access-keys.root` holds 32 random bytes. No secret is in either: a key's secret is drawn from the root,
//! its id, its account and the time of its creation, each time it is needed. So the list alone is worth nothing, and a
//! list in which somebody changed a key's account no longer fits the secret that was handed out. Whoever reads the root
//! and the list can sign as any key.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
pub use stepwell_access::{AccessKey, Secret, is_account};
use stepwell_access::{KEYS_MAX, NoRandomness, ROOT_BYTES, Root};

/// The keys of a data folder.
#[derive(Debug)]
pub struct AccessKeys {
    list: PathBuf,
    root: PathBuf,
    read: Mutex<Option<Contents>>,
    /// Keys of this process alone.
    lent: Mutex<Vec<(AccessKey, Secret)>>,
}

/// Why keys were not read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("{} is damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        message: String,
    },
    /// Others than its owner may read the root.
    #[error("{} can be read by others than its owner: make it private (chmod 600), or delete it and create new keys", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// An account is twelve digits.
    #[error("'{0}' is no account number: it has to be 12 digits")]
    Account(String),
    /// There is no such key.
    #[error("there is no access key {0}")]
    Missing(String),
    /// There are too many.
    #[error("there are {KEYS_MAX} access keys already: delete some")]
    Full,
}

/// The two files as they were last read.
#[derive(Debug, Clone)]
struct Contents {
    stamp: [Option<Stamp>; 2],
    keys: Arc<BTreeMap<String, AccessKey>>,
    root: Option<Root>,
}

/// Tells one state of a file from the next. A file is replaced, never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListFile {
    version: u32,
    keys: Vec<AccessKey>,
}

impl AccessKeys {
    /// The keys of the folder `data_dir`, which need not be there yet.
    pub fn of(data_dir: &Path) -> Self {
        AccessKeys {
            list: data_dir.join("access-keys.json"),
            root: data_dir.join("access-keys.root"),
            read: Mutex::new(None),
            lent: Mutex::default(),
        }
    }

    /// Creates a key for `account`, and gives it with its secret.
    ///
    /// # Errors
    /// [`KeysError`]
    pub fn create(
        &self,
        account: &str,
        description: Option<String>,
    ) -> Result<(AccessKey, Secret), KeysError> {
        if !is_account(account) {
            return Err(KeysError::Account(account.to_owned()));
        }
        let _alone = self.lock()?;
        let mut keys = self.read_list()?;
        if keys.len() >= KEYS_MAX {
            return Err(KeysError::Full);
        }
        let created_at = jiff::Timestamp::now().as_millisecond();
        let key =
            AccessKey::draw(account, created_at, description).map_err(|error| self.no_randomness(error))?;
        let secret = self.root(keys.is_empty())?.secret(&key);
        keys.insert(key.id.clone(), key.clone());
        self.write_list(keys)?;
        Ok((key, secret))
    }

    /// A key for `account` that is in no file, and is gone with this value.
    ///
    /// # Errors
    /// [`KeysError`]
    pub fn lend(&self, account: &str) -> Result<(AccessKey, Secret), KeysError> {
        let created_at = jiff::Timestamp::now().as_millisecond();
        let key = AccessKey::draw(account, created_at, None).map_err(|error| self.no_randomness(error))?;
        let lent = (key, Secret::draw().map_err(|error| self.no_randomness(error))?);
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).push(lent.clone());
        Ok(lent)
    }

    /// All keys, in the order of their creation.
    ///
    /// # Errors
    /// [`KeysError`]
    pub fn list(&self) -> Result<Vec<AccessKey>, KeysError> {
        let mut keys: Vec<_> = self.read_list()?.into_values().collect();
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(keys)
    }

    /// How many keys there are, once they and the root have been read.
    ///
    /// # Errors
    /// [`KeysError`]
    pub fn check(&self) -> Result<usize, KeysError> {
        Ok(self.read()?.keys.len())
    }

    /// Deletes a key: from now on nothing signed with it is answered.
    ///
    /// # Errors
    /// [`KeysError`], also where there is none.
    pub fn delete(&self, id: &str) -> Result<(), KeysError> {
        let _alone = self.lock()?;
        let mut keys = self.read_list()?;
        keys.remove(id).ok_or_else(|| KeysError::Missing(id.to_owned()))?;
        self.write_list(keys)
    }

    /// The key of this id as the files have it now, and its secret.
    ///
    /// # Errors
    /// [`KeysError`]
    pub fn find(&self, id: &str) -> Result<Option<(AccessKey, Secret)>, KeysError> {
        let lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(found) = lent.into_iter().find(|(key, _)| key.id == id) {
            return Ok(Some(found));
        }
        let read = self.read()?;
        let (Some(key), Some(root)) = (read.keys.get(id), &read.root) else { return Ok(None) };
        Ok(Some((key.clone(), root.secret(key))))
    }

    /// What the files hold, read again where they have changed.
    fn read(&self) -> Result<Contents, KeysError> {
        let mut kept = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = [stamp(&self.list), stamp(&self.root)];
        if let Some(kept) = kept.as_ref().filter(|kept| kept.stamp == stamp) {
            return Ok(kept.clone());
        }
        let keys = Arc::new(self.read_list()?);
        let root = if keys.is_empty() { None } else { Some(self.root(false)?) };
        let read = Contents { stamp, keys, root };
        *kept = Some(read.clone());
        Ok(read)
    }

    fn read_list(&self) -> Result<BTreeMap<String, AccessKey>, KeysError> {
        let text = match std::fs::read(&self.list) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(io_error(&self.list, error)),
        };
        let damaged = |message: String| KeysError::Damaged { path: self.list.clone(), message };
        let file: ListFile = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if file.version != 1 {
            return Err(damaged(format!("version {} is not known", file.version)));
        }
        Ok(file.keys.into_iter().map(|key| (key.id.clone(), key)).collect())
    }

    /// Puts a new list in the place of the old one, so that whoever reads sees one or the other.
    fn write_list(&self, keys: BTreeMap<String, AccessKey>) -> Result<(), KeysError> {
        let file = ListFile { version: 1, keys: keys.into_values().collect() };
        let text = serde_json::to_vec_pretty(&file)
            .map_err(|error| KeysError::Damaged { path: self.list.clone(), message: error.to_string() })?;
        let new = self.list.with_extension("new");
        let failed = |error| io_error(&new, error);
        // One that a crash left behind.
        let _ = std::fs::remove_file(&new);
        let mut out = private(&new).map_err(failed)?;
        out.write_all(&text).and_then(|()| out.sync_all()).map_err(failed)?;
        std::fs::rename(&new, &self.list).map_err(failed)
    }

    /// The root; where there is none, and no key depends on it, it is drawn.
    fn root(&self, may_draw: bool) -> Result<Root, KeysError> {
        let failed = |error| io_error(&self.root, error);
        let mut bytes = Vec::with_capacity(ROOT_BYTES + 1);
        match File::open(&self.root) {
            Ok(file) => {
                if is_exposed(&file).map_err(failed)? {
                    return Err(KeysError::Exposed { path: self.root.clone() });
                }
                file.take(ROOT_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_draw => {
                bytes.extend(Root::draw().map_err(|error| self.no_randomness(error))?);
                let mut out = private(&self.root).map_err(failed)?;
                out.write_all(&bytes).and_then(|()| out.sync_all()).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        let root = Root::new(&bytes).filter(|_| bytes.len() == ROOT_BYTES);
        root.ok_or_else(|| {
            let message = format!("it has to have {ROOT_BYTES} bytes");
            KeysError::Damaged { path: self.root.clone(), message }
        })
    }

    /// Keeps other processes from writing until it is dropped.
    fn lock(&self) -> Result<File, KeysError> {
        if let Some(folder) = self.list.parent() {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(folder).map_err(|error| io_error(folder, error))?;
        }
        let path = self.list.with_extension("lock");
        let failed = |error| io_error(&path, error);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    fn no_randomness(&self, error: NoRandomness) -> KeysError {
        io_error(&self.root, io::Error::other(error))
    }
}

fn io_error(path: &Path, source: io::Error) -> KeysError {
    KeysError::Io { path: path.to_owned(), source }
}

/// A new file that its owner alone may read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn is_exposed(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(false)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some(Stamp { modified: metadata.modified().ok(), length: metadata.len(), inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn keys_are_created_found_and_deleted() {
        let folder = folder();
        let data = folder.path().join("not/there/yet");
        let keys = AccessKeys::of(&data);
        assert_eq!(keys.list().unwrap(), []);
        assert!(keys.find("SWAK").unwrap().is_none());
        let (key, secret) = keys.create("123456789012", Some("ci".into())).unwrap();
        assert!(stepwell_access::is_key_id(&key.id), "{}", key.id);
        assert_eq!((secret.reveal().len(), &*format!("{secret:?}")), (40, "Secret(..)"));
        let (other, another) = keys.create("000000000002", None).unwrap();
        assert_ne!((&key.id, &secret), (&other.id, &another));

        // Another process finds them too, and the one that runs sees what another did.
        let elsewhere = AccessKeys::of(&data);
        assert_eq!(elsewhere.find(&key.id).unwrap(), Some((key.clone(), secret)));
        keys.delete(&key.id).unwrap();
        assert!(elsewhere.find(&key.id).unwrap().is_none());
        assert_eq!(elsewhere.list().unwrap(), [other]);
        assert!(matches!(keys.delete(&key.id), Err(KeysError::Missing(_))));
        let (lent, secret) = keys.lend("123456789012").unwrap();
        assert_eq!(keys.find(&lent.id).unwrap(), Some((lent.clone(), secret)));
        assert!(elsewhere.find(&lent.id).unwrap().is_none());
        assert!(matches!(keys.create("12345678901", None), Err(KeysError::Account(_))));
    }

    #[test]
    fn no_file_holds_a_secret() {
        let folder = folder();
        let keys = AccessKeys::of(folder.path());
        let (key, secret) = keys.create("123456789012", None).unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let held = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!String::from_utf8_lossy(&held).contains(secret.reveal()));
        }
        // A list in which the key is another account's has another secret.
        let list = folder.path().join("access-keys.json");
        let changed = std::fs::read_to_string(&list).unwrap().replace("123456789012", "000000000002");
        std::fs::write(&list, changed).unwrap();
        assert_ne!(AccessKeys::of(folder.path()).find(&key.id).unwrap().unwrap().1, secret);
    }

    #[test]
    fn damaged_and_exposed_files_are_refused() {
        let folder = folder();
        let keys = AccessKeys::of(folder.path());
        let (key, _) = keys.create("123456789012", None).unwrap();
        let root = folder.path().join("access-keys.root");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            for file in ["access-keys.root", "access-keys.json", "access-keys.lock"] {
                assert_eq!(mode(&folder.path().join(file)), 0o600, "{file}");
            }
            let made = folder.path().join("made/for/it");
            AccessKeys::of(&made).create("123456789012", None).unwrap();
            assert_eq!(mode(&made), 0o700);
            std::fs::set_permissions(&root, PermissionsExt::from_mode(0o640)).unwrap();
            assert!(matches!(AccessKeys::of(folder.path()).check(), Err(KeysError::Exposed { .. })));
            let exposed = AccessKeys::of(folder.path()).find(&key.id);
            assert!(matches!(exposed, Err(KeysError::Exposed { .. })), "{exposed:?}");
            std::fs::set_permissions(&root, PermissionsExt::from_mode(0o600)).unwrap();
        }
        std::fs::write(&root, "short").unwrap();
        let damaged = AccessKeys::of(folder.path()).find(&key.id);
        assert!(matches!(damaged, Err(KeysError::Damaged { .. })), "{damaged:?}");
        std::fs::write(folder.path().join("access-keys.json"), "[]").unwrap();
        assert!(matches!(AccessKeys::of(folder.path()).list(), Err(KeysError::Damaged { .. })));
    }
}
