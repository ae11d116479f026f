//! What RTIC's macros call their statics (cortex-m-rtic-macros 1.1 and rtic-macros 2.4, src/codegen/util.rs).

use serde::Serialize;

use crate::image::types::Variable;
use crate::inventory::owner::last_part;

const MARK: &str = "__rtic_internal_";

/// What a static of RTIC is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A resource that tasks share.
    Shared,
    /// A resource of one task.
    Local,
    /// Messages to a task that was spawned (RTIC 1).
    Messages,
    /// Which places for messages are free (RTIC 1).
    FreeQueue,
    /// Tasks that are ready, of one priority (RTIC 1).
    ReadyQueue,
    /// When messages are due (RTIC 1).
    Instants,
    /// The timer's queue or state (RTIC 1).
    Timer,
}

impl Role {
    /// What it is, in words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Shared => "shared resource",
            Self::Local => "local resource",
            Self::Messages => "messages to a task",
            Self::FreeQueue => "free places for messages",
            Self::ReadyQueue => "queue of ready tasks",
            Self::Instants => "when messages are due",
            Self::Timer => "timer",
        }
    }
}

/// A static that RTIC keeps beside tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// The resource's name, or its task's; for a local resource with an initial value, the task's and its own.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its type, as the debug information has it.
    pub kind: String,
    /// First address.
    pub start: u32,
    /// Bytes.
    pub size: u32,
}

/// What a static of that name is for, and whose it is.
fn role(name: &str) -> Option<(Role, &str)> {
    let rest = last_part(name).strip_prefix(MARK)?;
    let begins = [
        ("shared_resource_", Role::Shared),
        ("local_resource_", Role::Local),
        ("local_", Role::Local),
        ("TQ_", Role::Timer),
    ];
    let ends = [
        ("_INPUTS", Role::Messages),
        ("_FQ", Role::FreeQueue),
        ("_RQ", Role::ReadyQueue),
        ("_INSTANTS", Role::Instants),
    ];
    let begun = begins.into_iter().find_map(|(start, role)| Some((role, rest.strip_prefix(start)?)));
    begun.or_else(|| ends.into_iter().find_map(|(end, role)| Some((role, rest.strip_suffix(end)?))))
}

/// The resource or queue that a static is; `None` when it is none of RTIC's.
pub(super) fn resource(variable: &Variable<'_>) -> Option<Resource> {
    let (role, name) = role(variable.name)?;
    let (start, size) = (variable.address?, variable.kind.size()?);
    (size > 0).then(|| Resource { name: name.to_owned(), role, kind: variable.kind.name(), start, size })
}

/// The scope and the name of the task whose executor a static is.
pub(super) fn executor_of(name: &str) -> Option<(&str, &str)> {
    let last = last_part(name);
    let task = last.strip_prefix(MARK)?.strip_suffix("_EXEC")?;
    Some((&name[..name.len() - last.len()], task))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_both_versions_are_told_apart() {
        for (name, expected) in [
            ("app::__rtic_internal_shared_resource_log", Some((Role::Shared, "log"))),
            ("app::__rtic_internal_local_resource_count", Some((Role::Local, "count"))),
            ("app::__rtic_internal_local_reader_hits", Some((Role::Local, "reader_hits"))),
            ("app::__rtic_internal_worker_INPUTS", Some((Role::Messages, "worker"))),
            ("app::__rtic_internal_worker_FQ", Some((Role::FreeQueue, "worker"))),
            ("app::__rtic_internal_worker_Mono_INSTANTS", Some((Role::Instants, "worker_Mono"))),
            ("app::__rtic_internal_P2_RQ", Some((Role::ReadyQueue, "P2"))),
            ("app::__rtic_internal_TQ_Mono", Some((Role::Timer, "Mono"))),
            ("app::__rtic_internal_reader_EXEC", None),
            ("app::shared_resource_log", None),
        ] {
            assert_eq!(role(name), expected, "{name}");
        }
        assert_eq!(executor_of("a::app::__rtic_internal_reader_EXEC"), Some(("a::app::", "reader")));
        assert_eq!(executor_of("a::app::EXEC"), None);
    }
}
