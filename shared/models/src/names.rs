//! Names: how Step Functions calls services, and how it spells the members of what they answer.

use std::borrow::Cow;

/// How members are spelled (Developer Guide, "Integrating services").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Casing {
    /// As in the service's model, with a capital: `executionArn` is `ExecutionArn`. For optimized integrations.
    Model,
    /// As in AWS's SDK for Java 2, with a capital: `DBInstances` is `DbInstances`. For `aws-sdk:*`.
    Sdk,
}

/// The member `name` in that spelling.
pub(crate) fn member(name: &str, casing: Casing) -> Cow<'_, str> {
    match casing {
        Casing::Model if !name.starts_with(|c: char| c.is_ascii_lowercase()) => Cow::Borrowed(name),
        Casing::Model => {
            let mut name = name.to_owned();
            name[..1].make_ascii_uppercase();
            Cow::Owned(name)
        }
        Casing::Sdk => {
            // The SDK lowers the capitals that a name begins with, but for the one that begins the next word.
            let letters = name.as_bytes();
            let is_upper = |at: usize| letters.get(at).is_some_and(u8::is_ascii_uppercase);
            let is_lower = |at: usize| letters.get(at).is_some_and(u8::is_ascii_lowercase);
            let mut run = 1;
            while is_upper(run) && !is_lower(run + 1) {
                run += 1;
            }
            let first_is_right = !letters.first().is_some_and(u8::is_ascii_lowercase);
            if run == 1 && first_is_right {
                return Cow::Borrowed(name);
            }
            let mut spelled = name.to_owned();
            if let Some(rest) = spelled.get_mut(1..run) {
                rest.make_ascii_lowercase();
            }
            if let Some(first) = spelled.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            Cow::Owned(spelled)
        }
    }
}

/// A service's key: the letters and digits of its id, in lower case.
pub(crate) fn key(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The service that an optimized integration calls, such as `events`, as `aws-sdk:*` names it.
///
/// `None` for one whose answers are no service's: `http`, `apigateway`, and what Step Functions made up.
pub fn service_of_integration(integration: &str, action: &str) -> Option<&'static str> {
    Some(match integration {
        "athena" => "athena",
        "batch" => "batch",
        "bedrock" if action.starts_with("invoke") => "bedrockruntime",
        "bedrock" => "bedrock",
        "codebuild" => "codebuild",
        "databrew" => "databrew",
        "dynamodb" => "dynamodb",
        "ecs" => "ecs",
        "eks" if !matches!(action, "call" | "runJob") => "eks",
        "elasticmapreduce" => "emr",
        "emr-containers" => "emrcontainers",
        "emr-serverless" => "emrserverless",
        "events" => "eventbridge",
        "glue" => "glue",
        "lambda" => "lambda",
        "mediaconvert" => "mediaconvert",
        "sagemaker" => "sagemaker",
        "sns" => "sns",
        "sqs" => "sqs",
        "states" => "sfn",
        _ => return None,
    })
}

/// The operation whose answer ends a `.sync` task that began with `action` (Developer Guide, "Run a Job").
pub fn polling_operation(service: &str, action: &str) -> Option<&'static str> {
    let lowered = action.to_ascii_lowercase();
    Some(match (service, lowered.as_str()) {
        ("athena", "startqueryexecution") => "GetQueryExecution",
        ("batch", "submitjob") => "DescribeJobs",
        ("bedrock", "createmodelcustomizationjob") => "GetModelCustomizationJob",
        ("codebuild", "startbuild") => "BatchGetBuilds",
        ("codebuild", "startbuildbatch") => "BatchGetBuildBatches",
        ("databrew", "startjobrun") => "DescribeJobRun",
        ("ecs", "runtask") => "DescribeTasks",
        ("eks", "createcluster" | "deletecluster") => "DescribeCluster",
        ("eks", "createfargateprofile" | "deletefargateprofile") => "DescribeFargateProfile",
        ("eks", "createnodegroup" | "deletenodegroup") => "DescribeNodegroup",
        ("emr", "createcluster" | "terminatecluster") => "DescribeCluster",
        ("emr", "addstep") => "DescribeStep",
        ("emrcontainers", "deletevirtualcluster") => "DescribeVirtualCluster",
        ("emrcontainers", "startjobrun") => "DescribeJobRun",
        (
            "emrserverless",
            "createapplication" | "startapplication" | "stopapplication" | "deleteapplication",
        ) => "GetApplication",
        ("emrserverless", "startjobrun") => "GetJobRun",
        ("glue", "startjobrun") => "GetJobRun",
        ("mediaconvert", "createjob") => "GetJob",
        ("sagemaker", "createhyperparametertuningjob") => "DescribeHyperParameterTuningJob",
        ("sagemaker", "createlabelingjob") => "DescribeLabelingJob",
        ("sagemaker", "createprocessingjob") => "DescribeProcessingJob",
        ("sagemaker", "createtrainingjob") => "DescribeTrainingJob",
        ("sagemaker", "createtransformjob") => "DescribeTransformJob",
        ("sfn", "startexecution") => "DescribeExecution",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_spelled_as_step_functions_does() {
        for (name, model, sdk) in [
            ("executionArn", "ExecutionArn", "ExecutionArn"),
            ("MD5OfMessageBody", "MD5OfMessageBody", "Md5OfMessageBody"),
            ("ETag", "ETag", "ETag"),
            ("DBInstances", "DBInstances", "DbInstances"),
            ("SSEKMSKeyId", "SSEKMSKeyId", "SsekmsKeyId"),
            ("ARN", "ARN", "Arn"),
            ("S", "S", "S"),
            ("sseKMSKey", "SseKMSKey", "SseKMSKey"),
            ("X", "X", "X"),
            ("", "", ""),
            ("_é", "_é", "_é"),
        ] {
            assert_eq!(member(name, Casing::Model), model);
            assert_eq!(member(name, Casing::Sdk), sdk);
        }
    }
}
