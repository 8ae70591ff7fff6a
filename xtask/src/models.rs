//! Draws the facts about operations' outputs out of AWS's service models, as botocore carries them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use stepwell_models::{Bounds, Builder, Service, ServiceBuilder, ShapeId, pack};

use crate::shell::root;

/// Where the models are.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder `botocore` of an installed or unpacked botocore
    #[arg(long, value_name = "DIR")]
    botocore: PathBuf,

    /// Leave the tables as they are: only the Step Functions API that wire is tested against
    #[arg(long)]
    api_only: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut services = BTreeMap::new();
    let data = args.botocore.join("data");
    let folders = std::fs::read_dir(&data).with_context(|| format!("cannot read {}", data.display()))?;
    let mut folders: Vec<_> = folders.map(|folder| Ok(folder?.path())).collect::<Result<_>>()?;
    folders.sort();
    for folder in folders {
        let Some(model) = newest(&folder)? else { continue };
        let id = model["metadata"]["serviceId"].as_str().context("a model has no serviceId")?;
        if folder.ends_with("stepfunctions") {
            crate::api_model::write(&model, &args.botocore)?;
        }
        if args.api_only {
            continue;
        }
        // One service has two folders of one id: the first is its newer API.
        if !services.contains_key(id) {
            services.insert(id.to_owned(), Outputs::of(&model)?);
        }
    }
    if args.api_only {
        return Ok(());
    }
    let file = pack(&services);
    let path = root().join("shared/models/data/outputs.bin");
    std::fs::write(&path, &file).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}: {} services, {} bytes", path.display(), services.len(), file.len());
    Ok(())
}

/// The newest model of a service's folder, whose versions are dates.
fn newest(folder: &Path) -> Result<Option<Value>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut versions: Vec<_> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path().join("service-2.json.gz")))
        .filter(|path: &Result<PathBuf>| path.as_ref().map_or(true, |path| path.exists()))
        .collect::<Result<_>>()?;
    versions.sort();
    let Some(path) = versions.pop() else { return Ok(None) };
    let unpacked = Command::new("gzip").arg("-dc").arg(&path).output().context("cannot start gzip")?;
    if !unpacked.status.success() {
        bail!("gzip -dc {}: {}", path.display(), unpacked.status);
    }
    serde_json::from_slice(&unpacked.stdout).with_context(|| path.display().to_string()).map(Some)
}

/// The types that a service's outputs reach.
struct Outputs<'m> {
    shapes: &'m Value,
    builder: ServiceBuilder,
    structures: BTreeMap<&'m str, ShapeId>,
    scalars: Vec<(Builder, ShapeId)>,
}

impl<'m> Outputs<'m> {
    fn of(model: &'m Value) -> Result<Service> {
        let mut outputs = Outputs {
            shapes: &model["shapes"],
            builder: ServiceBuilder::default(),
            structures: BTreeMap::new(),
            scalars: Vec::new(),
        };
        for (name, operation) in model["operations"].as_object().context("a model has no operations")? {
            let output = match operation["output"]["shape"].as_str() {
                Some(shape) => Some(outputs.shape(shape)?),
                None => None,
            };
            outputs.builder.operation(name, output);
        }
        Ok(outputs.builder.finish())
    }

    fn shape(&mut self, name: &'m str) -> Result<ShapeId> {
        if let Some(place) = self.structures.get(name) {
            return Ok(*place);
        }
        let shape = &self.shapes[name];
        let kind = shape["type"].as_str().with_context(|| format!("the shape {name} has no type"))?;
        if let Some(scalar) = scalar(kind, shape) {
            return Ok(self.scalar(scalar));
        }
        let place = self.builder.reserve();
        self.structures.insert(name, place);
        let length = bounds(shape);
        let inner =
            |of: &'m Value| of["shape"].as_str().with_context(|| format!("the shape {name} holds nothing"));
        let filled = match kind {
            "structure" => {
                let required: Vec<_> = shape["required"].as_array().into_iter().flatten().collect();
                let mut members = Vec::new();
                for (member, of) in shape["members"].as_object().into_iter().flatten() {
                    let is_required = required.iter().any(|name| name.as_str() == Some(member));
                    members.push((member.clone(), is_required, self.shape(inner(of)?)?));
                }
                Builder::Structure(members)
            }
            "list" => Builder::List(self.shape(inner(&shape["member"])?)?, length),
            "map" => Builder::Map(self.shape(inner(&shape["value"])?)?, length),
            other => bail!("the shape {name} is of the unknown type {other}"),
        };
        self.builder.fill(place, filled);
        Ok(place)
    }

    /// Scalars of the same constraints are one.
    fn scalar(&mut self, scalar: Builder) -> ShapeId {
        if let Some((_, place)) = self.scalars.iter().find(|(known, _)| *known == scalar) {
            return *place;
        }
        let place = self.builder.reserve();
        self.builder.fill(place, scalar.clone());
        self.scalars.push((scalar, place));
        place
    }
}

fn scalar(kind: &str, shape: &Value) -> Option<Builder> {
    let is = |what: &str| shape[what].as_bool() == Some(true);
    Some(match kind {
        _ if is("document") || is("eventstream") => Builder::Any,
        "string" => {
            let values = shape["enum"].as_array().into_iter().flatten();
            Builder::String(
                bounds(shape),
                values.filter_map(|value| value.as_str().map(Into::into)).collect(),
            )
        }
        "integer" | "long" | "float" | "double" => Builder::Number(bounds(shape)),
        "boolean" => Builder::Boolean,
        "timestamp" => Builder::Timestamp,
        "blob" => Builder::Blob,
        _ => return None,
    })
}

fn bounds(shape: &Value) -> Bounds {
    Bounds { min: shape["min"].as_f64(), max: shape["max"].as_f64() }
}
