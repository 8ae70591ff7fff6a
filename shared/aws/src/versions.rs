//! Versions and aliases: each write reads what it needs, and one transaction does it where nothing of that has changed.
//!
//! A version counts the aliases that name it (`uses`), so that it cannot go while one does, whoever comes first. A machine's
//! `COUNTS` has the last number that was given, and how many versions and aliases there are.

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwell_engine::port::{ALIASES_MAX, Alias, Publication, RegistryError, VERSIONS_MAX, Version};

use crate::error::StoreError;
use crate::item::{AttributeValue, Fields, Item, Transacted, Write, key, number, text};
use crate::machines::{
    ACTIVE, ALIAS, MACHINES, PUBLISHED, VERSION, alias_fields, alias_sort, read_alias, read_version,
    version_fields, version_sort,
};
use crate::registry::{Answer, counts_of, keyed};
use crate::store::{Range, Table};

/// How often a write is tried when each time something else came first.
const TRIES: usize = 32;

/// The first version of a machine that the same transaction creates.
pub(crate) fn first(arn: &str, born: &AttributeValue, publication: &Publication) -> [Write; 3] {
    make(arn, born, publication, 0)
}

/// The version behind number `last`.
fn make(arn: &str, born: &AttributeValue, publication: &Publication, last: u64) -> [Write; 3] {
    let given = last + 1;
    let count = Write::update(
        counts_of(arn),
        "SET last_version = :given, versions = if_not_exists(versions, :none) + :one, born = :born",
    )
    .when("attribute_not_exists(last_version) OR last_version = :last")
    .with(":given", number(given))
    .with(":last", number(last))
    .with(":none", number(0))
    .with(":one", number(1))
    .with(":born", born.clone());
    let mut version = keyed(arn, &version_sort(given), &version_fields(publication));
    version.insert("born".into(), born.clone());
    let mut published = key(arn, &published_sort(&publication.revision));
    published.insert("version_number".into(), number(given));
    published.insert("born".into(), born.clone());
    [count, Write::put(version).when_absent(), Write::put(published).when_absent()]
}

fn published_sort(revision: &str) -> String {
    format!("{PUBLISHED}{revision}")
}

/// How many of these a machine has.
fn count(counts: Option<&Item>, name: &'static str) -> Result<u64, StoreError> {
    match counts {
        Some(counts) if counts.contains_key(name) => counts.number(name),
        _ => Ok(0),
    }
}

fn versions_of(alias: &Alias) -> BTreeSet<u64> {
    alias.routing.iter().map(|route| route.version).collect()
}

/// One use more or less of a version that is there.
fn use_version(arn: &str, version: u64, uses: i64) -> Write {
    Write::update((arn, &version_sort(version)), "SET uses = uses + :uses")
        .when("attribute_exists(uses)")
        .with(":uses", number(uses))
}

fn count_alias(arn: &str, born: &str, aliases: i64) -> Write {
    Write::update(
        counts_of(arn),
        "SET aliases = if_not_exists(aliases, :none) + :change, born = if_not_exists(born, :born)",
    )
    .with(":none", number(0))
    .with(":change", number(aliases))
    .with(":born", text(born))
}

impl Table {
    /// The condition that a machine is the one that was read, and takes changes.
    fn still_open(&self, arn: &str, born: &str) -> Write {
        Write::check((MACHINES, arn))
            .when("born = :born AND status_name = :active")
            .with(":born", text(born))
            .with(":active", text(ACTIVE))
    }

    pub(crate) async fn publish(&self, arn: &str, publication: &Publication) -> Answer<Arc<Version>> {
        for _ in 0..TRIES {
            let current = match self.open_machine(arn).await? {
                Ok(current) => current,
                Err(refused) => return Ok(Err(refused)),
            };
            if current.machine.revision != publication.revision {
                return Ok(Err(RegistryError::Exists(current.machine)));
            }
            if let Some(published) = self.item(arn, &published_sort(&publication.revision)).await? {
                match self.version(arn, published.number("version_number")?).await? {
                    Some(version) => return Ok(Ok(version)),
                    None => continue,
                }
            }
            let (counts_partition, counts_sort) = counts_of(arn);
            let counts = self.item(counts_partition, counts_sort).await?;
            if count(counts.as_ref(), "versions")? >= VERSIONS_MAX as u64 {
                return Ok(Err(RegistryError::Full(VERSIONS_MAX)));
            }
            let last = count(counts.as_ref(), "last_version")?;
            let of_revision = Write::check((MACHINES, arn))
                .when("born = :born AND status_name = :active AND revision = :revision")
                .with(":born", text(current.born.as_str()))
                .with(":active", text(ACTIVE))
                .with(":revision", text(&*publication.revision));
            let mut writes = vec![of_revision];
            writes.extend(make(arn, &text(current.born.as_str()), publication, last));
            if let Transacted::Done = self.transact(writes).await? {
                return Ok(Ok(Arc::new(Version {
                    number: last + 1,
                    revision: publication.revision.clone(),
                    description: publication.description.clone(),
                    created_at: publication.at,
                })));
            }
        }
        Err(StoreError::Busy { operation: "a publication" })
    }

    pub(crate) async fn version(&self, arn: &str, number: u64) -> Result<Option<Arc<Version>>, StoreError> {
        self.item(arn, &version_sort(number)).await?.map(|item| read_version(&item)).transpose()
    }

    pub(crate) async fn versions(
        &self,
        arn: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, StoreError> {
        let last = before.map_or(u64::MAX, |before| before.saturating_sub(1));
        let range = Range::new(arn, VERSION, version_sort(last));
        let range = Range { descending: true, limit: Some(limit), ..range };
        self.items(range).await?.iter().map(read_version).collect()
    }

    pub(crate) async fn delete_version(&self, arn: &str, version: u64) -> Answer<()> {
        for _ in 0..TRIES {
            let Some(item) = self.item(arn, &version_sort(version)).await? else { return Ok(Ok(())) };
            if item.number::<u64>("uses")? > 0 {
                let users = self.aliases(arn, Some(version)).await?;
                if users.is_empty() {
                    continue;
                }
                let names = users.iter().map(|alias| alias.name.clone()).collect();
                return Ok(Err(RegistryError::VersionInUse(names)));
            }
            let writes = vec![
                Write::delete((arn, &version_sort(version))).when("uses = :none").with(":none", number(0)),
                Write::delete((arn, &published_sort(item.text("revision")?))),
                Write::update(counts_of(arn), "SET versions = versions - :one").with(":one", number(1)),
            ];
            if let Transacted::Done = self.transact(writes).await? {
                return Ok(Ok(()));
            }
        }
        Err(StoreError::Busy { operation: "a version's deletion" })
    }

    pub(crate) async fn create_alias(&self, arn: &str, alias: &Alias) -> Answer<()> {
        for _ in 0..TRIES {
            let current = match self.open_machine(arn).await? {
                Ok(current) => current,
                Err(refused) => return Ok(Err(refused)),
            };
            if let Some(there) = self.alias(arn, &alias.name).await? {
                return Ok(Err(RegistryError::AliasExists(there)));
            }
            let (counts_partition, counts_sort) = counts_of(arn);
            let counts = self.item(counts_partition, counts_sort).await?;
            if count(counts.as_ref(), "aliases")? >= ALIASES_MAX as u64 {
                return Ok(Err(RegistryError::Full(ALIASES_MAX)));
            }
            let most = number(ALIASES_MAX);
            let counted = count_alias(arn, &current.born, 1)
                .when("attribute_not_exists(aliases) OR aliases < :most")
                .with(":most", most);
            let mut item = keyed(arn, &alias_sort(&alias.name), &alias_fields(alias));
            item.insert("born".into(), text(current.born.as_str()));
            let mut writes =
                vec![self.still_open(arn, &current.born), counted, Write::put(item).when_absent()];
            let named: Vec<u64> = versions_of(alias).into_iter().collect();
            writes.extend(named.iter().map(|version| use_version(arn, *version, 1)));
            match self.transact(writes).await? {
                Transacted::Done => return Ok(Ok(())),
                Transacted::Not(reasons) => {
                    let uses = reasons.iter().skip(3).zip(&named);
                    if let Some((_, version)) = uses.into_iter().find(|(reason, _)| reason.failed()) {
                        return Ok(Err(RegistryError::VersionMissing(*version)));
                    }
                }
            }
        }
        Err(StoreError::Busy { operation: "an alias" })
    }

    pub(crate) async fn update_alias(&self, arn: &str, alias: &Alias, expected: u64) -> Answer<()> {
        for _ in 0..TRIES {
            let missing = || RegistryError::AliasMissing(alias.name.to_string());
            let current = match self.open_machine(arn).await? {
                Ok(current) => current,
                Err(RegistryError::Missing(_)) => return Ok(Err(missing())),
                Err(refused) => return Ok(Err(refused)),
            };
            let there = match self.alias(arn, &alias.name).await? {
                None => return Ok(Err(missing())),
                Some(there) if there.edition != expected => {
                    return Ok(Err(RegistryError::AliasExists(there)));
                }
                Some(there) => there,
            };
            let mut item = keyed(arn, &alias_sort(&alias.name), &alias_fields(alias));
            item.insert("born".into(), text(current.born.as_str()));
            let put = Write::put(item).when("edition = :expected").with(":expected", number(expected));
            let mut writes = vec![self.still_open(arn, &current.born), put];
            let (before, after) = (versions_of(&there), versions_of(alias));
            let added: Vec<u64> = after.difference(&before).copied().collect();
            writes.extend(added.iter().map(|version| use_version(arn, *version, 1)));
            writes.extend(before.difference(&after).map(|version| use_version(arn, *version, -1)));
            match self.transact(writes).await? {
                Transacted::Done => return Ok(Ok(())),
                Transacted::Not(reasons) => {
                    let uses = reasons.iter().skip(2).zip(&added);
                    if let Some((_, version)) = uses.into_iter().find(|(reason, _)| reason.failed()) {
                        return Ok(Err(RegistryError::VersionMissing(*version)));
                    }
                }
            }
        }
        Err(StoreError::Busy { operation: "an alias" })
    }

    pub(crate) async fn alias(&self, arn: &str, name: &str) -> Result<Option<Arc<Alias>>, StoreError> {
        self.item(arn, &alias_sort(name)).await?.map(|item| read_alias(&item)).transpose()
    }

    /// A machine's aliases in the order of their names.
    pub(crate) async fn aliases(
        &self,
        arn: &str,
        version: Option<u64>,
    ) -> Result<Vec<Arc<Alias>>, StoreError> {
        let items = self.items(Range::prefix(arn, ALIAS)).await?;
        let mut all = items.iter().map(read_alias).collect::<Result<Vec<_>, _>>()?;
        all.retain(|alias| version.is_none_or(|version| versions_of(alias).contains(&version)));
        Ok(all)
    }

    pub(crate) async fn delete_alias(&self, arn: &str, name: &str) -> Answer<()> {
        for _ in 0..TRIES {
            let Some(item) = self.item(arn, &alias_sort(name)).await? else { return Ok(Ok(())) };
            let there = read_alias(&item)?;
            let delete = Write::delete((arn, &alias_sort(name)))
                .when("edition = :edition AND born = :born")
                .with(":edition", number(there.edition))
                .with(":born", item.attribute("born")?.clone());
            let mut writes = vec![delete, count_alias(arn, item.text("born")?, -1)];
            writes.extend(versions_of(&there).into_iter().map(|version| use_version(arn, version, -1)));
            if let Transacted::Done = self.transact(writes).await? {
                return Ok(Ok(()));
            }
        }
        Err(StoreError::Busy { operation: "an alias's deletion" })
    }
}
