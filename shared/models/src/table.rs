//! The file: an index of services, and behind it each service's table, compressed.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use crate::bytes::{Reader, Writer};
use crate::names::key;
use crate::shape::Service;

/// The first byte of the file.
const VERSION: u8 = 1;

/// Deflate's best.
const COMPRESSION: u8 = 10;

static FILE: &[u8] = include_bytes!("../data/outputs.bin");

static INDEX: LazyLock<BTreeMap<&'static str, Entry>> =
    LazyLock::new(|| index(FILE).expect("the file is part of the program, and a test reads all of it"));

struct Entry {
    compressed: &'static [u8],
    bytes: usize,
    unpacked: OnceLock<Service>,
}

/// The service that `aws-sdk:NAME:*` calls. It is unpacked when it is asked for first.
pub fn service(name: &str) -> Option<&'static Service> {
    // Step Functions leaves the word out that some ids end in: `config` is Config Service.
    let entry = INDEX.get(name).or_else(|| INDEX.get(format!("{name}service").as_str()))?;
    Some(entry.unpacked.get_or_init(|| {
        unpack(entry).expect("the file is part of the program, and a test unpacks all of it")
    }))
}

/// The names of all services.
pub fn services() -> impl Iterator<Item = &'static str> {
    INDEX.keys().copied()
}

fn index(file: &'static [u8]) -> Option<BTreeMap<&'static str, Entry>> {
    let mut file = Reader(file);
    if file.byte()? != VERSION {
        return None;
    }
    let mut entries = Vec::new();
    for _ in 0..file.count()? {
        entries.push((file.text()?, file.count()?, file.count()?));
    }
    let mut index = BTreeMap::new();
    for (name, compressed, bytes) in entries {
        let compressed = file.take(compressed)?;
        index.insert(name, Entry { compressed, bytes, unpacked: OnceLock::new() });
    }
    Some(index)
}

fn unpack(entry: &Entry) -> Option<Service> {
    let bytes = miniz_oxide::inflate::decompress_to_vec_with_limit(entry.compressed, entry.bytes).ok()?;
    Service::decode(&bytes)
}

/// The file that holds `services`, each by its id, such as `CloudWatch Logs`.
pub fn pack(services: &BTreeMap<String, Service>) -> Vec<u8> {
    let packed = |(id, service): (&String, &Service)| {
        let bytes = service.encode();
        (key(id), (miniz_oxide::deflate::compress_to_vec(&bytes, COMPRESSION), bytes.len()))
    };
    let tables: BTreeMap<_, _> = services.iter().map(packed).collect();
    let mut out = Writer(vec![VERSION]);
    out.count(tables.len());
    for (name, (compressed, bytes)) in &tables {
        out.text(name);
        out.count(compressed.len());
        out.count(*bytes);
    }
    tables.values().for_each(|(compressed, _)| out.0.extend_from_slice(compressed));
    out.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Casing, Kind};

    #[test]
    fn every_service_can_be_unpacked() {
        let mut operations = 0;
        for name in services() {
            operations += service(name).map_or(0, |service| service.operations().count());
        }
        assert!(services().count() > 400 && operations > 15_000, "{operations}");
    }

    #[test]
    fn services_are_known_by_the_names_of_step_functions() {
        for (name, action) in [
            ("sfn", "startExecution"),
            ("eventbridge", "putEvents"),
            ("cloudwatchlogs", "describeLogGroups"),
            ("config", "describeConfigRules"),
            ("elasticloadbalancingv2", "describeRules"),
            ("databasemigration", "describeEndpoints"),
            ("rds", "describeDBInstances"),
            ("s3", "getObject"),
        ] {
            assert!(
                service(name).is_some_and(|service| service.operation(action).is_some()),
                "{name}:{action}"
            );
        }
        assert!(service("nothing").is_none() && service("").is_none());
    }

    #[test]
    fn every_integration_and_every_job_leads_to_an_operation() {
        for (integration, action) in [
            ("athena", "startQueryExecution"),
            ("batch", "submitJob"),
            ("bedrock", "createModelCustomizationJob"),
            ("codebuild", "startBuild"),
            ("codebuild", "startBuildBatch"),
            ("databrew", "startJobRun"),
            ("ecs", "runTask"),
            ("eks", "createCluster"),
            ("eks", "deleteNodegroup"),
            ("eks", "createFargateProfile"),
            ("elasticmapreduce", "createCluster"),
            ("elasticmapreduce", "addStep"),
            ("emr-containers", "startJobRun"),
            ("emr-containers", "deleteVirtualCluster"),
            ("emr-serverless", "startJobRun"),
            ("emr-serverless", "stopApplication"),
            ("glue", "startJobRun"),
            ("mediaconvert", "createJob"),
            ("sagemaker", "createTrainingJob"),
            ("sagemaker", "createTransformJob"),
            ("sagemaker", "createProcessingJob"),
            ("sagemaker", "createLabelingJob"),
            ("sagemaker", "createHyperParameterTuningJob"),
            ("states", "startExecution"),
        ] {
            let called = crate::service_of_integration(integration, action).unwrap();
            let polled = crate::polling_operation(called, action).unwrap();
            assert!(
                service(called).unwrap().operation(polled).is_some(),
                "{integration}:{action} -> {polled}"
            );
        }
    }

    #[test]
    fn outputs_have_their_constraints() {
        let output = |name: &str, action: &str| service(name)?.operation(action)?.output();
        let Some(Kind::Structure(started)) = output("sfn", "startExecution").map(|output| output.kind())
        else {
            panic!()
        };
        let required: Vec<_> = started.members().map(|m| (m.spelled(Casing::Model), m.is_required)).collect();
        assert_eq!(required, [("ExecutionArn".into(), true), ("StartDate".into(), true)]);
    }
}
