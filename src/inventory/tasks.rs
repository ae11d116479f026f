//! Async tasks by the memory that was set aside for them when the program was linked, and what makes them large.
//!
//! ```text
//! static POOL ──> task `worker`, 3 of 752 B ──> its future ──> each await: the locals that live across it
//! ```
//!
//! Known are embassy-executor's pools, RTIC's executors, resources and queues (versions 1 and 2), and any other static that
//! holds a future. All of it is read from the debug information. What a future needs beside its largest await (its tag,
//! alignment) is part of its size and of no await.

mod future;
mod rows;
mod rtic;

use serde::Serialize;

use super::owner::last_part;
use crate::image::Image;
use crate::image::types::{Types, Variable};
use crate::region::Region;

pub use future::{Await, Future, Part};
pub use rows::Row;
pub use rtic::{Resource, Role};

/// The schema's name and version.
pub const SCHEMA: &str = "highwater/tasks@1";

/// The tasks of a firmware, the largest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tasks {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// File name of the ELF.
    pub elf: String,
    /// Bytes of all tasks and resources.
    pub bytes: u64,
    /// The tasks.
    pub tasks: Vec<Task>,
    /// What RTIC keeps beside them.
    pub resources: Vec<Resource>,
}

/// Who runs a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Framework {
    /// embassy-executor.
    Embassy,
    /// RTIC 2.
    Rtic,
    /// Whoever polls the static.
    Other,
}

/// A task, or another static that holds a future.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Task {
    /// The function's name with its scopes, or the static's.
    pub name: String,
    /// Who runs it.
    pub framework: Framework,
    /// First address of the static.
    pub start: u32,
    /// Bytes of the static: of all instances.
    pub size: u32,
    /// How many can run at once; `null` when the debug information does not tell.
    pub instances: Option<u32>,
    /// What runs; empty when the debug information does not tell, several when the static holds several.
    pub futures: Vec<Future>,
}

impl Task {
    /// Where its author wrote it, where that is known.
    #[must_use]
    pub fn source(&self) -> Option<String> {
        self.futures.first()?.source.clone()
    }
}

/// All tasks and resources.
#[must_use]
pub fn read(image: &Image) -> Tasks {
    let types = image.types();
    let mut budget = future::Budget::default();
    let mut tasks = Vec::new();
    let mut resources = Vec::new();
    for variable in types.variables() {
        if let Some(task) = task(types, &variable, &mut budget) {
            tasks.push(task);
        } else {
            resources.extend(rtic::resource(&variable));
        }
    }
    // One static may be told by several units.
    tasks.sort_by(|one, other| (other.size, one.start, &one.name).cmp(&(one.size, other.start, &other.name)));
    tasks.dedup_by_key(|task| task.start);
    resources.sort_by(|one, other| (other.size, one.start, &one.name).cmp(&(one.size, other.start, &other.name)));
    resources.dedup_by_key(|resource| resource.start);
    let sizes = tasks.iter().map(|task| task.size).chain(resources.iter().map(|resource| resource.size));
    let bytes = sizes.map(u64::from).sum();
    Tasks { schema: SCHEMA, elf: image.name(), bytes, tasks, resources }
}

/// The task in the static that lies in `range`; `None` when it is none.
#[must_use]
pub fn at(image: &Image, range: Region) -> Option<Task> {
    task(image.types(), &image.variable_at(range.start())?, &mut future::Budget::default())
}

/// What a static that stands for tasks is called, and what may be in it.
struct Holder {
    framework: Framework,
    name: String,
    /// The names that its future may have.
    futures: Vec<String>,
}

fn task(types: &Types, variable: &Variable<'_>, budget: &mut future::Budget) -> Option<Task> {
    let (start, size) = (variable.address?, variable.kind.size()?);
    let inside = future::inside(variable.kind, budget);
    let holder = embassy(variable).or_else(|| executor(variable));
    if !inside.is_empty() {
        let instances = inside.iter().map(|(_, count)| *count).max();
        let futures = inside.into_iter().filter_map(|(kind, _)| future::read(kind, budget)).collect();
        let (name, framework) = holder
            .map_or_else(|| (variable.name.to_owned(), Framework::Other), |holder| (holder.name, holder.framework));
        return Some(Task { name, framework, start, size, instances, futures });
    }
    // Both frameworks lay a task into plain bytes, as the type of an async function's future cannot be named in a static.
    let holder = holder?;
    let found = holder.futures.iter().find_map(|name| Some((name, types.find(name)?)));
    let slot = found.and_then(|(name, _)| types.find(&format!("TaskStorage<{name}>"))?.size());
    // It only points to its task, which lies elsewhere.
    if found.and_then(|(_, kind)| kind.size()).is_some_and(|future| future > size) {
        return None;
    }
    let instances = match holder.framework {
        // An executor runs one task.
        Framework::Rtic => Some(1),
        _ => slot.filter(|slot| *slot > 0 && size % slot == 0).map(|slot| size / slot),
    };
    let futures = found.and_then(|(_, kind)| future::read(kind, budget)).into_iter().collect();
    Some(Task { name: holder.name, framework: holder.framework, start, size, instances, futures })
}

/// A pool of embassy-executor's macro `task` (embassy-executor-macros 0.7 and 0.8, src/macros/task.rs): the static `POOL` in
/// the function `f`, and the author's function as `__f_task`, or in it as `__f_task_inner_function`.
fn embassy(variable: &Variable<'_>) -> Option<Holder> {
    let kind = &variable.kind.structure()?.name;
    let is_pool = ["TaskPoolHolder<", "TaskPool<", "TaskStorage<"].iter().any(|name| last_part(kind).starts_with(name));
    let path = variable.name.strip_suffix("::POOL").filter(|_| is_pool)?;
    let function = last_part(path);
    let scope = &path[..path.len() - function.len()];
    let inner = format!("{scope}__{function}_task");
    Some(Holder {
        framework: Framework::Embassy,
        name: if function == "__embassy_main" { format!("{scope}main") } else { path.to_owned() },
        futures: vec![
            format!("{inner}::__{function}_task_inner_function::{{async_fn_env#0}}"),
            format!("{inner}::{{async_fn_env#0}}"),
        ],
    })
}

/// An executor of RTIC 2 (rtic-macros 2.4, src/codegen/util.rs): a static for each task.
fn executor(variable: &Variable<'_>) -> Option<Holder> {
    let (scope, task) = rtic::executor_of(variable.name)?;
    let name = format!("{scope}{task}");
    let futures = vec![format!("{name}::{{async_fn_env#0}}")];
    Some(Holder { framework: Framework::Rtic, name, futures })
}
