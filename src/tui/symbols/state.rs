//! What the user made of the symbols: grouping, order, what is open, where the cursor is.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Shared, at};
use crate::inventory::Inventory;
use crate::inventory::tree::{self, Level, Node, Order};
use crate::region::Region;

/// What the tree is grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Memory, section, module, name.
    #[default]
    Section,
    /// Memory, module, name.
    Memory,
    /// Module, name, wherever it lies.
    Module,
    /// Names alone, wherever they lie.
    Name,
}

impl Grouping {
    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Section => Self::Memory,
            Self::Memory => Self::Module,
            Self::Module => Self::Name,
            Self::Name => Self::Section,
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Section => "by section",
            Self::Memory => "by memory and module",
            Self::Module => "by module",
            Self::Name => "by name",
        }
    }

    const fn levels(self) -> &'static [Level] {
        match self {
            Self::Section => &[Level::Memory, Level::Section, Level::Module, Level::Name, Level::Instance],
            Self::Memory => &[Level::Memory, Level::Module, Level::Name, Level::Instance],
            Self::Module => &[Level::Module, Level::Name, Level::Instance],
            Self::Name => &[Level::Name, Level::Instance],
        }
    }

    /// Groups that are open until they are closed: those above the modules.
    const fn open_depth(self) -> usize {
        match self {
            Self::Section => 2,
            Self::Memory => 1,
            Self::Module | Self::Name => 0,
        }
    }
}

/// How the groups are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Figure {
    /// As rows that open.
    #[default]
    Tree,
    /// As areas.
    Treemap,
}

/// How the symbols are shown.
#[derive(Clone, Debug, Default)]
pub struct SymbolsState {
    /// Where they come from.
    pub shared: Shared,
    /// What they are grouped by.
    pub grouping: Grouping,
    /// The order of siblings.
    pub order: Order,
    /// Rows or areas.
    pub figure: Figure,
    /// Only what has this in its name is shown.
    pub filter: String,
    /// Groups that are not as they are by themselves, open or closed.
    turned: HashSet<Vec<String>>,
    /// The names that lead to what is selected; the first row when it is empty.
    cursor: Vec<String>,
    built: Option<Built>,
}

/// A tree, and what it was built for.
#[derive(Clone, Debug)]
struct Built {
    recipe: (Grouping, Order, String),
    from: Arc<Inventory>,
    root: Arc<Node>,
}

/// A row of the tree.
pub(crate) struct Entry<'a> {
    pub(crate) node: &'a Node,
    pub(crate) path: Vec<String>,
    pub(crate) is_open: bool,
    /// Bytes of the group it is in, the free ones not counted.
    pub(crate) of: u64,
}

impl Entry<'_> {
    /// Where the function or static lies that this row is; `None` for groups.
    pub(crate) fn thing(&self) -> Option<Region> {
        self.node.run.filter(|_| self.node.children.is_empty() && self.node.level.is_some())
    }
}

impl SymbolsState {
    /// The state to start with.
    #[must_use]
    pub fn new(shared: Shared) -> Self {
        Self { shared, ..Self::default() }
    }

    /// Builds the tree anew when something about it was changed. To be called before it is drawn.
    pub fn prepare(&mut self) {
        let Some(inventory) = self.shared.get() else { return };
        let recipe = (self.grouping, self.order, self.filter.clone());
        let is_current = |built: &Built| built.recipe == recipe && Arc::ptr_eq(&built.from, &inventory);
        if !self.built.as_ref().is_some_and(is_current) {
            let root = tree::build(&inventory, self.grouping.levels(), &self.filter, self.order);
            self.built = Some(Built { recipe, from: inventory, root: Arc::new(folded(root)) });
        }
    }

    /// The tree, once it is there.
    pub(crate) fn tree(&self) -> Option<&Node> {
        self.built.as_ref().map(|built| &*built.root)
    }

    /// The rows in sight, from the top.
    pub(crate) fn rows(&self) -> Vec<Entry<'_>> {
        let mut rows = Vec::new();
        if let Some(root) = self.tree() {
            self.add(root, &mut Vec::new(), &mut rows);
        }
        rows
    }

    fn add<'a>(&'a self, group: &'a Node, path: &mut Vec<String>, rows: &mut Vec<Entry<'a>>) {
        for node in &group.children {
            path.push(node.name.clone());
            let is_open = self.is_open(node, path);
            rows.push(Entry { node, path: path.clone(), is_open, of: group.taken() });
            if is_open {
                self.add(node, path, rows);
            }
            path.pop();
        }
    }

    fn is_open(&self, node: &Node, path: &[String]) -> bool {
        let by_itself = path.len() <= self.grouping.open_depth() || !self.filter.is_empty();
        !node.children.is_empty() && by_itself != self.turned.contains(path)
    }

    /// Where the function or static lies that is under the cursor; `None` for groups.
    pub(crate) fn thing(&self) -> Option<Region> {
        let rows = self.rows();
        rows.get(self.selected(&rows)).and_then(Entry::thing)
    }

    /// The row under the cursor.
    pub(crate) fn selected(&self, rows: &[Entry<'_>]) -> usize {
        // What was selected may be hidden now, in a group that was closed: then the group is selected.
        (1..=self.cursor.len())
            .rev()
            .find_map(|length| rows.iter().position(|row| row.path == self.cursor[..length]))
            .unwrap_or(0)
    }

    /// Selects what these names lead to.
    pub(crate) fn select(&mut self, path: Vec<String>) {
        self.cursor = path;
    }

    fn turn(&mut self, path: Vec<String>) {
        if !self.turned.remove(&path) {
            self.turned.insert(path);
        }
    }
}

/// A name with one instance needs no row for the instance, and a section that is all one reservation none for that.
fn folded(mut node: Node) -> Node {
    node.children = node.children.into_iter().map(folded).collect();
    if let [only] = node.children.as_slice() {
        if node.level == Some(Level::Name) {
            node.name = only.name.clone();
            node.children.clear();
        } else if only.level.is_none() {
            node.children.clear();
        }
    }
    node
}

/// Moves the cursor: along the rows, or along the areas of one group.
pub(crate) fn walk(symbols: &mut SymbolsState, steps: isize) {
    let rows = symbols.rows();
    let at = symbols.selected(&rows);
    let paths: Vec<Vec<String>> = match symbols.figure {
        Figure::Tree => rows.into_iter().map(|row| row.path).collect(),
        Figure::Treemap => {
            let group = rows.get(at).map(|row| row.path[..row.path.len() - 1].to_vec()).unwrap_or_default();
            symbols.tree().and_then(|root| self::at(root, &group)).map(|node| by_size(node, &group)).unwrap_or_default()
        }
    };
    let at = paths.iter().position(|path| *path == symbols.cursor).or(Some(0));
    if let Some(at) = super::super::update::step(at, paths.len(), steps) {
        symbols.select(paths[at].clone());
    }
}

fn by_size(node: &Node, group: &[String]) -> Vec<Vec<String>> {
    let mut children: Vec<&Node> = node.children.iter().collect();
    children.retain(|child| child.taken() > 0);
    children.sort_by_key(|child| std::cmp::Reverse(child.taken()));
    children.iter().map(|child| [group, std::slice::from_ref(&child.name)].concat()).collect()
}

/// Opens what is selected, or goes into it when it is open.
pub(crate) fn step_in(symbols: &mut SymbolsState) {
    let rows = symbols.rows();
    let Some(row) = rows.get(symbols.selected(&rows)) else { return };
    let path = row.path.clone();
    let into = by_size(row.node, &path).into_iter().next();
    let (is_group, is_open) = (!row.node.children.is_empty(), row.is_open);
    if !is_group {
        return;
    }
    if !is_open {
        symbols.turn(path.clone());
    }
    symbols.select(into.filter(|_| is_open || symbols.figure == Figure::Treemap).unwrap_or(path));
}

/// Closes what is selected, or goes to its group when it is closed.
pub(crate) fn step_out(symbols: &mut SymbolsState) {
    let rows = symbols.rows();
    let Some(row) = rows.get(symbols.selected(&rows)) else { return };
    let mut path = row.path.clone();
    if row.is_open && symbols.figure == Figure::Tree {
        symbols.turn(path.clone());
    } else if path.len() > 1 {
        path.pop();
    }
    symbols.select(path);
}
