//! Functions and state machines of an AWS SAM or CloudFormation template.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::intrinsic::Template;
use super::{
    Code, ConfigError, DefinitionSource, FunctionConfig, LocalConfig, MachineType, Project, Runtime,
    StateMachineConfig, yaml,
};

/// Reads a template, whose text this is.
pub(super) fn of_text(path: &Path, text: &str, local: &LocalConfig) -> Result<Project, ConfigError> {
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let document = if is_json {
        serde_json::from_str(text).map_err(|error| error.to_string())
    } else {
        yaml::read(text)
    };
    let document = document.map_err(|message| ConfigError::Syntax { path: path.to_owned(), message })?;
    project(path, document, local)
}

fn project(path: &Path, document: Value, local: &LocalConfig) -> Result<Project, ConfigError> {
    if !document["Resources"].is_object() {
        let message = "it has no `Resources`, so it is no SAM template".to_owned();
        return Err(ConfigError::Syntax { path: path.to_owned(), message });
    }
    let root = path.parent().unwrap_or(Path::new("")).to_owned();
    let template = Template::new(document, local);
    let mut project = Project {
        root: root.clone(),
        sources: vec![path.to_owned()],
        local: local.clone(),
        ..Project::default()
    };
    for (id, kind, properties) in template.resources() {
        let resource = Resource { path, root: &root, template: &template, id, properties };
        match kind {
            "AWS::Serverless::Function" => {
                project.functions.push(resource.function(template.part(&["Globals", "Function"]))?);
            }
            "AWS::Lambda::Function" => project.functions.push(resource.function(&Value::Null)?),
            "AWS::Serverless::StateMachine" | "AWS::StepFunctions::StateMachine" => {
                project.state_machines.push(resource.state_machine()?);
            }
            _ => {}
        }
    }
    Ok(project)
}

/// One resource, on its way to what we make of it.
struct Resource<'a> {
    path: &'a Path,
    root: &'a Path,
    template: &'a Template,
    id: &'a str,
    properties: &'a Value,
}

impl Resource<'_> {
    fn function(&self, globals: &Value) -> Result<FunctionConfig, ConfigError> {
        let property = |name: &str| match &self.properties[name] {
            Value::Null => &globals[name],
            own => own,
        };
        let text = |name: &str| self.template.text(property(name));
        let number = |name: &str| self.number(name, property(name));
        let is_image = text("PackageType").is_some_and(|kind| kind == "Image");
        let runtime = match text("Runtime") {
            Some(identifier) => Runtime::new(&identifier),
            None if is_image => Runtime::Other("a container image".to_owned()),
            None => return Err(self.refused("Runtime", "it has none, and `Globals` has none either")),
        };
        let built_binary =
            self.template.part(&["Resources", self.id, "Metadata", "BuildProperties", "Binary"]);
        let handler = self.template.text(built_binary).or_else(|| text("Handler")).unwrap_or_default();
        let mut environment = self.template.texts(&globals["Environment"]["Variables"]);
        environment.extend(self.template.texts(&self.properties["Environment"]["Variables"]));
        let name = self.template.name(self.id, "FunctionName");
        let memory_mb = number("MemorySize")?.map(|mb| u32::try_from(mb).unwrap_or(u32::MAX));
        let concurrency = number("ReservedConcurrentExecutions")?.and_then(|most| usize::try_from(most).ok());
        Ok(FunctionConfig {
            alias: (name != self.id).then(|| self.id.to_owned()),
            runtime,
            handler,
            code: self.code(property("CodeUri"), is_image),
            timeout: number("Timeout")?.map_or(FunctionConfig::TIMEOUT_DEFAULT, Duration::from_secs),
            memory_mb: memory_mb.unwrap_or(FunctionConfig::MEMORY_MB_DEFAULT),
            concurrency: concurrency.filter(|most| *most > 0),
            environment: environment.into(),
            name,
        })
    }

    fn code(&self, uri: &Value, is_image: bool) -> Code {
        if is_image {
            return Code::Elsewhere("in a container image".to_owned());
        }
        let code = &self.properties["Code"];
        if !self.properties["InlineCode"].is_null() || !code["ZipFile"].is_null() {
            return Code::Elsewhere(format!("inside `{}`", self.path.display()));
        }
        let place = if uri.is_null() { code } else { uri };
        match self.template.text(place) {
            Some(uri) if uri.starts_with("s3:") => Code::Elsewhere(format!("at `{uri}`")),
            Some(folder) => Code::Folder(self.root.join(folder)),
            None if place.is_null() => Code::Folder(self.root.to_owned()),
            None => Code::Elsewhere("in S3".to_owned()),
        }
    }

    fn state_machine(&self) -> Result<StateMachineConfig, ConfigError> {
        let text = |name: &str| self.template.text(&self.properties[name]);
        let either = |sam: &str, plain: &str| text(sam).or_else(|| text(plain));
        let machine_type = match either("Type", "StateMachineType").as_deref() {
            None | Some("STANDARD") => MachineType::Standard,
            Some("EXPRESS") => MachineType::Express,
            Some(_) => return Err(self.refused("Type", "it is neither STANDARD nor EXPRESS")),
        };
        let name = either("Name", "StateMachineName").unwrap_or_else(|| self.id.to_owned());
        Ok(StateMachineConfig {
            alias: (name != self.id).then(|| self.id.to_owned()),
            name,
            definition: self.definition()?,
            substitutions: self.template.texts(&self.properties["DefinitionSubstitutions"]),
            input: None,
            machine_type,
            role_arn: either("Role", "RoleArn"),
        })
    }

    fn definition(&self) -> Result<DefinitionSource, ConfigError> {
        if let Some(uri) = self.template.text(&self.properties["DefinitionUri"]) {
            let file = if uri.starts_with("s3:") { PathBuf::from(uri) } else { self.root.join(uri) };
            return Ok(DefinitionSource::File(file));
        }
        if let Some(text) = self.template.text(&self.properties["DefinitionString"]) {
            return Ok(DefinitionSource::Inline(text));
        }
        match &self.properties["Definition"] {
            definition @ Value::Object(_) => {
                Ok(DefinitionSource::Inline(self.template.resolve(definition).to_string()))
            }
            _ => {
                Err(self
                    .refused("Definition", "there is neither a definition on this machine nor one inside"))
            }
        }
    }

    fn number(&self, name: &str, value: &Value) -> Result<Option<u64>, ConfigError> {
        if value.is_null() {
            return Ok(None);
        }
        match self.template.text(value).and_then(|text| text.parse().ok()) {
            Some(number) => Ok(Some(number)),
            None => {
                Err(self.refused(name, &format!("`{}` is no whole number", self.template.resolve(value))))
            }
        }
    }

    fn refused(&self, property: &str, message: &str) -> ConfigError {
        ConfigError::Value {
            path: self.path.to_owned(),
            at: format!("Resources.{}.Properties.{property}", self.id),
            message: message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Project, ConfigError> {
        project(Path::new("app/template.yaml"), yaml::read(text).unwrap(), &LocalConfig::default())
    }

    const TEMPLATE: &str = "
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.12
    Timeout: 10
    Environment: {Variables: {STAGE: dev, LEVEL: 1}}
Resources:
  PayFunction:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: pay
      CodeUri: functions/pay/
      Handler: app.handler
      MemorySize: 512
      Environment: {Variables: {STAGE: prod, TABLE: !Ref Table}}
  ShipFunction:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: ship}}
    Properties: {CodeUri: ./rust, Handler: bootstrap, Runtime: provided.al2023, Timeout: 30}
  Inline:
    Type: AWS::Lambda::Function
    Properties: {Runtime: nodejs20.x, Handler: index.handler, Code: {ZipFile: 'x'}}
  Image:
    Type: AWS::Serverless::Function
    Properties: {PackageType: Image}
  Table: {Type: AWS::DynamoDB::Table}
  OrderMachine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Name: orders
      DefinitionUri: statemachine/order.asl.json
      DefinitionSubstitutions:
        PayFunctionArn: !GetAtt PayFunction.Arn
        TableName: !Ref Table
      Type: EXPRESS
  Small:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition:
        StartAt: Pay
        States: {Pay: {Type: Task, Resource: '${Pay}', TimeoutSeconds: 5, End: true}}
      DefinitionSubstitutions: {Pay: !GetAtt PayFunction.Arn}
  Plain:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      DefinitionString: !Sub '{\"Resource\":\"${PayFunction.Arn}\"}'
      RoleArn: arn:aws:iam::123456789012:role/r
";

    #[test]
    fn a_whole_template() {
        let project = parsed(TEMPLATE).unwrap();
        let pay = project.function("pay").unwrap();
        assert_eq!(project.function("PayFunction"), Some(pay));
        assert_eq!(pay.runtime.identifier(), "python3.12");
        assert_eq!(pay.code, Code::Folder(PathBuf::from("app/functions/pay/")));
        assert_eq!((pay.timeout.as_secs(), pay.memory_mb), (10, 512));
        let variables: Vec<_> =
            pay.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(variables, ["LEVEL=1", "STAGE=prod", "TABLE=Table"]);
        let ship = project.function("ShipFunction").unwrap();
        assert_eq!((ship.handler.as_str(), ship.timeout.as_secs()), ("ship", 30));
        for elsewhere in ["Inline", "Image"] {
            assert!(matches!(project.function(elsewhere).unwrap().code, Code::Elsewhere(_)));
        }
        let order = project.state_machine("OrderMachine").unwrap();
        assert_eq!((order.name.as_str(), order.machine_type), ("orders", MachineType::Express));
        assert_eq!(
            order.definition,
            DefinitionSource::File(PathBuf::from("app/statemachine/order.asl.json"))
        );
        assert_eq!(
            order.substitutions["PayFunctionArn"],
            "arn:aws:lambda:us-east-1:123456789012:function:pay"
        );
        let small = project.state_machine("Small").unwrap().definition_text().unwrap();
        let resource =
            r#""Resource":"arn:aws:lambda:us-east-1:123456789012:function:pay","TimeoutSeconds":5,"#;
        assert!(small.contains(resource), "{small}");
        let plain = project.state_machine("Plain").unwrap();
        let text = r#"{"Resource":"arn:aws:lambda:us-east-1:123456789012:function:pay"}"#;
        assert_eq!(plain.definition_text().unwrap(), text);
        assert_eq!(plain.role_arn.as_deref(), Some("arn:aws:iam::123456789012:role/r"));
    }

    #[test]
    fn an_error_names_file_resource_and_property() {
        let function = |properties: &str| {
            format!("Resources: {{F: {{Type: AWS::Serverless::Function, Properties: {{{properties}}}}}}}")
        };
        for (text, want) in [
            ("a: 1".to_owned(), "app/template.yaml: it has no `Resources`"),
            (function("Handler: a.b"), "app/template.yaml: Resources.F.Properties.Runtime: it has none"),
            (
                function("Runtime: python3.12, Timeout: soon"),
                "Resources.F.Properties.Timeout: `\"soon\"` is no whole",
            ),
            (
                function("Runtime: python3.12, MemorySize: -1"),
                "Resources.F.Properties.MemorySize: `-1` is no whole",
            ),
            (
                "Resources: {M: {Type: AWS::Serverless::StateMachine, Properties: {Type: EXPRESS}}}"
                    .to_owned(),
                "Resources.M.Properties.Definition: there is neither",
            ),
        ] {
            let error = parsed(&text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}\n{error}\nhas no {want}");
        }
    }
}
