//! No two files import each other, directly or through others.
//!
//! An import is a path in a `use` or in an expression. A name that a facade re-exports counts as an import of the file
//! that defines it. A module and what is below it may import each other: `store` and `store::key`.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{ModulePath, Source, sources};

type Graph = BTreeMap<ModulePath, BTreeSet<ModulePath>>;

#[test]
fn no_files_import_each_other() {
    let graph = graph(&sources());
    let mut report = String::new();
    for cycle in &cycles(&graph) {
        report.push_str(&format!("\n{cycle:?}\n"));
        for (importer, imported) in edges_within(&graph, cycle) {
            report.push_str(&format!("    {importer} imports {imported}\n"));
        }
    }
    assert!(report.is_empty(), "files import each other:{report}");
}

/// Each file and the files that it imports, without those above and below it.
fn graph(sources: &[Source]) -> Graph {
    let modules: BTreeSet<&ModulePath> = sources.iter().map(|source| &source.module).collect();
    let imports: BTreeMap<&ModulePath, BTreeMap<String, ModulePath>> = sources
        .iter()
        .map(|source| (&source.module, source.imports().into_iter().collect()))
        .collect();
    let mut graph = Graph::new();
    for source in sources {
        let imported = graph.entry(source.module.clone()).or_default();
        for path in source.paths() {
            let Some(file) = definition(&path, &modules, &imports) else {
                continue;
            };
            if !file.starts_with(&source.module) && !source.module.starts_with(&file) {
                imported.insert(file);
            }
        }
    }
    graph
}

/// The file that defines what a path names.
fn definition(
    path: &[String],
    modules: &BTreeSet<&ModulePath>,
    imports: &BTreeMap<&ModulePath, BTreeMap<String, ModulePath>>,
) -> Option<ModulePath> {
    let mut path = path.to_vec();
    // A chain of re-exports is short; a name that is imported under itself must end, too.
    for _ in 0..8 {
        let file = (1..=path.len())
            .rev()
            .map(|length| path[..length].to_vec())
            .find(|prefix| modules.contains(prefix))?;
        let Some(name) = path.get(file.len()) else {
            return Some(file);
        };
        match imports[&file].get(name) {
            Some(target) if *target != path[..=file.len()] => {
                let rest = path.split_off(file.len() + 1);
                path.clone_from(target);
                path.extend(rest);
                // Something of another crate.
                if !(1..=path.len()).any(|length| modules.contains(&path[..length].to_vec())) {
                    return Some(file);
                }
            }
            _ => return Some(file),
        }
    }
    None
}

/// The groups of files of which each imports every other, directly or not.
fn cycles(graph: &Graph) -> Vec<Vec<String>> {
    let reach: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> = graph
        .keys()
        .map(|module| (module, reachable(graph, module)))
        .collect();
    let mut cycles = BTreeSet::new();
    for (module, reached) in &reach {
        if reached.contains(module) {
            let members = reached
                .iter()
                .filter(|other| reach[*other].contains(module));
            cycles.insert(members.map(|member| member.join("::")).collect());
        }
    }
    cycles.into_iter().collect()
}

fn reachable<'a>(graph: &'a Graph, from: &ModulePath) -> BTreeSet<&'a ModulePath> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&ModulePath> = graph[from].iter().collect();
    while let Some(module) = open.pop() {
        if reached.insert(module) {
            open.extend(graph.get(module).into_iter().flatten());
        }
    }
    reached
}

fn edges_within(graph: &Graph, cycle: &[String]) -> Vec<(String, String)> {
    let mut edges = Vec::new();
    for (importer, imported) in graph {
        for imported in imported {
            let edge = (importer.join("::"), imported.join("::"));
            if cycle.contains(&edge.0) && cycle.contains(&edge.1) {
                edges.push(edge);
            }
        }
    }
    edges
}

#[test]
fn a_cycle_through_a_facade_is_found() {
    let file = |module: &[&str], text: &str| {
        let module: ModulePath = module.iter().map(|&name| name.to_owned()).collect();
        Source::new(module.join("/").into(), module, text)
    };
    let sources = [
        file(&["a"], "mod one; mod two; pub use one::One; use two::Two;"),
        file(&["a", "one"], "use super::Two; use crate::b::B;"),
        file(&["a", "two"], "fn f() { crate::a::One::new() }"),
        file(&["b"], "use std::fmt::Debug;"),
    ];
    assert_eq!(cycles(&graph(&sources)), [["a::one", "a::two"]]);
}
