//! Calls of DynamoDB, SNS and SQS: what is sent, and what becomes of an answer.

#![allow(clippy::unwrap_used, reason = "a test fails where there is nothing to unwrap")]

mod stub;

use std::sync::Arc;

use stepwell_engine::port::{TaskAnswer, Tasks};
use stepwell_expr::json::parse;
use stepwell_integrations::{Aws, DynamoDb, Endpoints, Integrations, Keys, Service, Sns, Sqs};
use stepwell_interpreter::Resource;
use stub::{Stub, error, output, task};

fn calling(stub: &Stub) -> Integrations {
    let endpoint = |endpoints: Endpoints, service| endpoints.with(service, stub.endpoint.clone());
    let services = [Service::DynamoDb, Service::Sns, Service::Sqs];
    let aws = Aws::new("us-east-1", services.into_iter().fold(Endpoints::aws(), endpoint), Keys::none());
    Integrations::builder()
        .register("dynamodb", Arc::new(DynamoDb::new(&aws)))
        .register("sns", Arc::new(Sns::new(&aws)))
        .register("sqs", Arc::new(Sqs::new(&aws)))
        .build()
}

const JSON: [(&str, &str); 4] = [
    ("server", "Server"),
    ("connection", "keep-alive"),
    ("x-amzn-requestid", "7-7"),
    ("content-type", "application/x-amz-json-1.0"),
];
const XML: [(&str, &str); 2] = [("x-amzn-requestid", "7-7"), ("content-type", "text/xml")];

/// The members of `text` that say nothing of the exchange.
fn without_metadata(text: &str) -> String {
    let value = parse(text).unwrap();
    let mut map = value.as_object().unwrap().clone();
    let http = map.remove("SdkHttpMetadata").unwrap();
    assert_eq!(http.get("HttpStatusCode"), Some(&200.into()));
    assert_eq!(map.remove("SdkResponseMetadata").unwrap().to_json(), r#"{"RequestId":"7-7"}"#);
    stepwell_expr::Value::object(map).to_json()
}

#[tokio::test]
async fn items_are_read_and_written() {
    let check = async |action: &str, parameters: &str, sent: &str, answer: &'static str, result: &str| {
        let stub = Stub::answering(200, &JSON, answer).await;
        let resource = format!("arn:aws:states:::dynamodb:{action}");
        let text = output(calling(&stub).call(task(&resource, parameters)).await);
        assert_eq!(without_metadata(&text), result);
        let [asked] = &stub.asked()[..] else { panic!("one request") };
        let target = format!("DynamoDB_20120810.{}{}", action[..1].to_uppercase(), &action[1..]);
        assert_eq!(asked.header("x-amz-target"), target);
        assert!(asked.header("authorization").contains("/us-east-1/dynamodb/aws4_request"));
        assert_eq!(parse(&asked.body).unwrap(), parse(sent).unwrap(), "{}", asked.body);
    };
    let put = r#"{"TableName":"t","Item":{"id":{"S":"1"},"n":{"N":"1.50"},"l":{"L":[{"BOOL":true},{"NULL":true}]}}}"#;
    check("putItem", put, put, "{}", "{}").await;
    check(
        "getItem",
        r#"{"TableName":"t","Key":{"id":{"S":"1"}},"ConsistentRead":true,"ReturnConsumedCapacity":"TOTAL"}"#,
        r#"{"TableName":"t","Key":{"id":{"S":"1"}},"ConsistentRead":true,"ReturnConsumedCapacity":"TOTAL"}"#,
        r#"{"Item":{"id":{"S":"1"},"data":{"M":{"n":{"N":"1.50"}}}},"ConsumedCapacity":{"TableName":"t","CapacityUnits":1.0}}"#,
        r#"{"ConsumedCapacity":{"CapacityUnits":1.0,"TableName":"t"},"Item":{"data":{"M":{"n":{"N":"1.50"}}},"id":{"S":"1"}}}"#,
    )
    .await;
    check(
        "getItem",
        r#"{"TableName":"t","Key":{"id":{"S":"1"}}}"#,
        r#"{"TableName":"t","Key":{"id":{"S":"1"}}}"#,
        "{}",
        "{}",
    )
    .await;
    let update = concat!(
        r#"{"TableName":"t","Key":{"id":{"S":"1"}},"UpdateExpression":"SET n = n + :one","ReturnValues":"ALL_NEW","#,
        r##""ExpressionAttributeValues":{":one":{"N":"1"}},"ExpressionAttributeNames":{"#n":"n"},"##,
        r#""ConditionExpression":"attribute_exists(id)"}"#
    );
    check(
        "updateItem",
        update,
        update,
        r#"{"Attributes":{"n":{"N":"2"}}}"#,
        r#"{"Attributes":{"n":{"N":"2"}}}"#,
    )
    .await;
    let old = concat!(
        r#"{"TableName":"t","Key":{"id":{"S":"1"}},"AttributeUpdates":{"n":{"Value":{"N":"1"},"Action":"ADD"}},"#,
        r#""Expected":{"id":{"Exists":true,"Value":{"S":"1"}}}}"#
    );
    check("updateItem", old, old, "{}", "{}").await;
    let delete = r#"{"TableName":"t","Key":{"id":{"S":"1"}},"ReturnValues":"ALL_OLD"}"#;
    check(
        "deleteItem",
        delete,
        delete,
        r#"{"Attributes":{"id":{"S":"1"}}}"#,
        r#"{"Attributes":{"id":{"S":"1"}}}"#,
    )
    .await;
}

#[tokio::test]
async fn the_exchange_is_shown_as_recorded() {
    let stub = Stub::answering(200, &JSON, "{}").await;
    let shape = async |action: &str| {
        let resource = format!("arn:aws:states:::dynamodb:{action}");
        let text =
            output(calling(&stub).call(task(&resource, r#"{"TableName":"t","Key":{"id":{"S":"1"}}}"#)).await);
        let http = parse(&text).unwrap().get("SdkHttpMetadata").unwrap().clone();
        let names = |member: &str| {
            let map = http.get(member).unwrap().as_object().unwrap().clone();
            map.keys()
                .filter(|name| &***name != "Date")
                .map(|name| name.to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        (names("AllHttpHeaders"), names("HttpHeaders"))
    };
    let (all, one) = shape("deleteItem").await;
    assert_eq!(all, "Server Connection x-amzn-RequestId Content-Length Content-Type");
    assert_eq!(one, "Connection Content-Length Content-Type Server x-amzn-RequestId");
    let (all, _) = shape("getItem").await;
    assert_eq!(all, "Server x-amzn-requestid Connection Content-Length Content-Type");
}

#[tokio::test]
async fn messages_are_sent() {
    let answer = r#"{"MessageId":"m","MD5OfMessageBody":"d","SequenceNumber":"9"}"#;
    let stub = Stub::answering(200, &JSON, answer).await;
    let parameters = concat!(
        r#"{"QueueUrl":"http://queues/q","MessageBody":{"a": 1.0},"DelaySeconds":3,"MessageGroupId":"g","#,
        r#""MessageAttributes":{"k":{"DataType":"String","StringValue":"v"}}}"#
    );
    let text = output(calling(&stub).call(task("arn:aws:states:::sqs:sendMessage", parameters)).await);
    assert_eq!(without_metadata(&text), r#"{"MD5OfMessageBody":"d","MessageId":"m","SequenceNumber":"9"}"#);
    assert!(
        text.starts_with(r#"{"MD5OfMessageBody":"d","MessageId":"m","SdkHttpMetadata":{"AllHttpHeaders":{"#)
    );
    assert!(text.contains(r#""connection":["keep-alive"]"#), "{text}");
    let [asked] = &stub.asked()[..] else { panic!("one request") };
    assert_eq!(asked.header("x-amz-target"), "AmazonSQS.SendMessage");
    let sent = concat!(
        r#"{"QueueUrl":"http://queues/q","MessageBody":"{\"a\":1.0}","DelaySeconds":3,"MessageGroupId":"g","#,
        r#""MessageAttributes":{"k":{"DataType":"String","StringValue":"v"}}}"#
    );
    assert_eq!(parse(&asked.body).unwrap(), parse(sent).unwrap(), "{}", asked.body);
    let waiting =
        task("arn:aws:states:::sqs:sendMessage.waitForTaskToken", r#"{"QueueUrl":"q","MessageBody":"t"}"#);
    assert!(matches!(calling(&stub).call(waiting).await, TaskAnswer::Submitted(_)));
}

#[tokio::test]
async fn messages_are_published() {
    let answer = concat!(
        r#"<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m</MessageId>"#,
        "</PublishResult><ResponseMetadata><RequestId>7-7</RequestId></ResponseMetadata></PublishResponse>"
    );
    let stub = Stub::answering(200, &XML, answer).await;
    let parameters =
        r#"{"TopicArn":"arn:aws:sns:us-east-1:1:t","Message":{"Message":"Hello!"},"Subject":"s"}"#;
    let text = output(calling(&stub).call(task("arn:aws:states:::sns:publish", parameters)).await);
    assert_eq!(without_metadata(&text), r#"{"MessageId":"m"}"#);
    let [asked] = &stub.asked()[..] else { panic!("one request") };
    for part in ["Action=Publish", "Message=%7B%22Message%22%3A%22Hello%21%22%7D", "Subject=s"] {
        assert!(asked.body.contains(part), "{}", asked.body);
    }
}

#[tokio::test]
async fn refusals_are_the_services_exceptions() {
    let check = async |resource: &str,
                       status,
                       headers: &[(&'static str, &'static str)],
                       body: &'static str,
                       name: &str,
                       cause: &str| {
        let stub = Stub::answering(status, headers, body).await;
        let parameters = match resource {
            "dynamodb:putItem" => r#"{"TableName":"t","Item":null}"#,
            "sns:publish" => r#"{"TopicArn":"t","Message":"m"}"#,
            _ => r#"{"QueueUrl":"q","MessageBody":"m"}"#,
        };
        let answer = calling(&stub).call(task(&format!("arn:aws:states:::{resource}"), parameters)).await;
        assert_eq!(error(answer), (name.to_owned(), cause.to_owned()));
        assert_eq!(stub.asked().len(), 1, "nothing is tried again");
    };
    check(
        "dynamodb:putItem",
        400,
        &JSON,
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"Requested resource not found"}"#,
        "DynamoDB.ResourceNotFoundException",
        "Requested resource not found (Service: AmazonDynamoDBv2; Status Code: 400; Error Code: \
         ResourceNotFoundException; Request ID: 7-7; Proxy: null)",
    )
    .await;
    check(
        "dynamodb:putItem",
        400,
        &JSON,
        r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"1 validation error"}"#,
        "DynamoDB.AmazonDynamoDBException",
        "1 validation error (Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ValidationException; \
         Request ID: 7-7; Proxy: null)",
    )
    .await;
    check(
        "dynamodb:putItem",
        500,
        &JSON,
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"Internal"}"#,
        "DynamoDB.InternalServerErrorException",
        "Internal (Service: AmazonDynamoDBv2; Status Code: 500; Error Code: InternalServerError; Request ID: 7-7; \
         Proxy: null)",
    )
    .await;
    check(
        "sns:publish",
        404,
        &XML,
        concat!(
            r#"<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>"#,
            "<Code>NotFound</Code><Message>Topic does not exist</Message></Error><RequestId>7-7</RequestId></ErrorResponse>"
        ),
        "SNS.NotFoundException",
        "Topic does not exist (Service: AmazonSNS; Status Code: 404; Error Code: NotFound; Request ID: 7-7; Proxy: null)",
    )
    .await;
    check(
        "sqs:sendMessage",
        400,
        &[JSON[2], ("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender")],
        r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}"#,
        "SQS.QueueDoesNotExistException",
        "The specified queue does not exist. (Service: AmazonSQS; Status Code: 400; Error Code: \
         AWS.SimpleQueueService.NonExistentQueue; Request ID: 7-7; Proxy: null)",
    )
    .await;
}

#[tokio::test]
async fn what_does_not_arrive_is_the_clients_exception() {
    for (resource, parameters, name) in [
        ("dynamodb:getItem", r#"{"TableName":"t"}"#, "DynamoDB.SdkClientException"),
        ("sns:publish", r#"{"TopicArn":"t","Message":"m"}"#, "SNS.SdkClientException"),
        ("sqs:sendMessage", r#"{"QueueUrl":"q","MessageBody":"m"}"#, "SQS.SdkClientException"),
    ] {
        for stub in [
            Stub::nobody().await,
            Stub::breaking_off_after(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await,
            Stub::answering(200, &[], "nonsense").await,
        ] {
            let answer = calling(&stub).call(task(&format!("arn:aws:states:::{resource}"), parameters)).await;
            let (error, cause) = error(answer);
            assert_eq!(error, name, "{cause}");
            assert!(stub.asked().len() <= 1);
        }
    }
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_refused_before_any_call() {
    let stub = Stub::nobody().await;
    let check = async |resource: &str, parameters: &str, why: &str| {
        let answer = calling(&stub).call(task(&format!("arn:aws:states:::{resource}"), parameters)).await;
        let (error, cause) = error(answer);
        assert_eq!(error, "States.Runtime");
        assert_eq!(
            cause,
            format!("The Parameters '{parameters}' could not be used to start the Task: [{why}]")
        );
    };
    let unknown = "The field \"Nope\" is not supported by Step Functions";
    check("dynamodb:getItem", r#"{"Nope":1}"#, unknown).await;
    check("sns:publish", r#"{"Nope":1}"#, unknown).await;
    check("sqs:sendMessage", r#"{"Nope":1}"#, unknown).await;
    let invalid = |name: &str| format!("The value of the field '{name}' has an invalid format");
    check("dynamodb:putItem", r#"{"TableName":"t","Item":{"id":"1"}}"#, &invalid("Item")).await;
    check("dynamodb:getItem", r#"{"AttributesToGet":[1]}"#, &invalid("AttributesToGet")).await;
    check("sqs:sendMessage", r#"{"QueueUrl":"q","DelaySeconds":"soon"}"#, &invalid("DelaySeconds")).await;
    check("sqs:sendMessage", r#"{}"#, "The field 'QueueUrl' is required but was missing").await;
    check("sns:publish", r#"{"MessageAttributes":{"a":1}}"#, &invalid("MessageAttributes")).await;
}

const ASSUMED: &str = concat!(
    r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>"#,
    "<AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>",
    "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
);

const DENIED: &str = concat!(
    r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>"#,
    "<Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
);

/// Calls as a deployment makes them: with the keys of the machine's role, and of the task's with those.
#[tokio::test]
async fn machines_call_with_their_own_roles() {
    let (sqs, sts) = (
        Stub::answering(200, &JSON, r#"{"MessageId":"m"}"#).await,
        Stub::answering(200, &XML, ASSUMED).await,
    );
    let endpoints = Endpoints::aws().with(Service::Sqs, sqs.endpoint.clone());
    let calling = |sts: &Stub| {
        let endpoints = endpoints.clone().with(Service::Sts, sts.endpoint.clone());
        let aws =
            Aws::new("us-east-1", endpoints, Keys::fixed("OWN", "secret", None)).assuming_machine_roles();
        Integrations::builder().register("sqs", Arc::new(Sqs::new(&aws))).build()
    };
    let integrations = calling(&sts);
    let task = |role: Option<&str>| {
        let mut task = task("arn:aws:states:::sqs:sendMessage", r#"{"QueueUrl":"q","MessageBody":"m"}"#);
        task.call.credentials = role.map(Into::into);
        task
    };
    for role in [None, Some("arn:aws:iam::1:role/task"), None] {
        output(integrations.call(task(role)).await);
    }
    let asked: Vec<_> =
        sts.asked().into_iter().map(|asked| (asked.header("authorization").to_owned(), asked.body)).collect();
    let [(own, machine), (chained, of_task)] = &asked[..] else {
        panic!("each role is assumed once: {asked:?}")
    };
    assert!(own.contains("Credential=OWN/") && chained.contains("Credential=ASSUMED/"), "{own} {chained}");
    let body = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Frole\
                &RoleSessionName=stepwell-machine";
    assert_eq!(machine, body);
    assert!(of_task.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Ftask&"), "{of_task}");
    assert!(sqs.asked().iter().all(|asked| asked.header("authorization").contains("Credential=ASSUMED/")));
    // The machine's role may be assumed, and may not assume the task's.
    let sts = Stub::answering_by(|asked| match asked.body.contains("role%2Ftask&") {
        true => (403, XML.to_vec(), DENIED.into()),
        false => (200, XML.to_vec(), ASSUMED.into()),
    });
    let refused = error(calling(&sts.await).call(task(Some("arn:aws:iam::1:role/task"))).await);
    let cause = "The role arn:aws:iam::123456789012:role/role is not authorized to assume the task state's role, \
                 arn:aws:iam::1:role/task.";
    assert_eq!(refused, ("States.TaskFailed".to_owned(), cause.to_owned()));
    let integrations = calling(&Stub::answering(403, &XML, DENIED).await);
    let cause =
        "Stepwell cannot assume the role of the state machine, arn:aws:iam::123456789012:role/role: no";
    let refused = error(integrations.call(task(None)).await);
    assert_eq!(refused, ("States.TaskFailed".to_owned(), cause.to_owned()));
    assert_eq!(sqs.asked().len(), 0);
}

#[tokio::test]
async fn a_task_with_credentials_assumes_its_role() {
    let sqs = Stub::answering(200, &JSON, r#"{"MessageId":"m"}"#).await;
    let sent = |sts: &Stub| {
        let endpoints = Endpoints::aws().with(Service::Sqs, sqs.endpoint.clone());
        let aws = Aws::new("us-east-1", endpoints.with(Service::Sts, sts.endpoint.clone()), Keys::none());
        let integrations = Integrations::builder().register("sqs", Arc::new(Sqs::new(&aws))).build();
        let mut task = task("arn:aws:states:::sqs:sendMessage", r#"{"QueueUrl":"q","MessageBody":"m"}"#);
        task.call.credentials = Some("arn:aws:iam::1:role/task".into());
        async move { (integrations.call(task.clone()).await, integrations.call(task).await) }
    };
    let sts = Stub::answering(200, &XML, ASSUMED).await;
    let (first, second) = sent(&sts).await;
    output(first);
    output(second);
    let [asked] = &sts.asked()[..] else { panic!("the keys are kept") };
    assert!(asked.body.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Ftask"), "{}", asked.body);
    for asked in sqs.asked() {
        assert!(asked.header("authorization").contains("Credential=ASSUMED/"));
        assert_eq!(asked.header("x-amz-security-token"), "t");
    }
    let (first, _) = sent(&Stub::answering(403, &XML, DENIED).await).await;
    let cause = "The role arn:aws:iam::123456789012:role/role is not authorized to assume the task state's role, \
                 arn:aws:iam::1:role/task.";
    assert_eq!(error(first), ("States.TaskFailed".to_owned(), cause.to_owned()));
    assert_eq!(sqs.asked().len(), 0);
}

#[tokio::test]
async fn only_reading_may_be_done_again() {
    let integrations = calling(&Stub::nobody().await);
    for (resource, again) in [
        ("arn:aws:states:::dynamodb:getItem", true),
        ("arn:aws:states:::dynamodb:putItem", false),
        ("arn:aws:states:::sqs:sendMessage", false),
        ("arn:aws:states:::lambda:invoke", false),
    ] {
        assert_eq!(integrations.is_idempotent(&Resource::parse(resource).unwrap()), again, "{resource}");
    }
}
