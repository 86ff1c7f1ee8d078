//! The pages of `docs/recipes`: their commands are run in a copy of the folder that the page names, with real servers, and
//! print what the page shows.
//!
//! A command that ends with `&` starts a server and waits until it serves. The ports of the page are replaced by free ones.

mod stage;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use weir_harness::program;
use weir_harness::transcript::{self, Shown};

use crate::window::now_secs;
use stage::Stage;

/// A page and its folder.
struct Recipe {
    name: String,
    page: String,
    folder: PathBuf,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names in a folder, without their extensions.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let stems = paths.map(|path| path.file_stem().expect("a name").to_owned());
    stems
        .map(|stem| stem.into_string().expect("UTF-8"))
        .collect()
}

fn recipes() -> Vec<Recipe> {
    let read = |name: String| {
        let page = root().join(format!("docs/recipes/{name}.md"));
        let page = fs::read_to_string(page).expect("a page");
        let folder = page.split("(../../examples/recipes/").nth(1);
        let folder = folder.and_then(|rest| rest.split(')').next());
        let folder = folder.unwrap_or_else(|| panic!("docs/recipes/{name}.md names no folder"));
        Recipe {
            folder: root().join("examples/recipes").join(folder),
            page,
            name,
        }
    };
    names("docs/recipes").into_iter().map(read).collect()
}

impl Recipe {
    fn commands(&self) -> Vec<Shown> {
        transcript::shown(&self.page)
    }

    /// Runs the commands of the page, again if a minute ends in between, with which windows of the policy may end.
    fn follow(&self) -> Result<(), String> {
        const TRIES: usize = 5;
        let mut outcome = Ok(());
        for _ in 0..TRIES {
            let minute = now_secs() / 60;
            outcome = self.follow_once();
            if outcome.is_ok() || now_secs() / 60 == minute {
                break;
            }
        }
        outcome.map_err(|error| format!("docs/recipes/{}.md: {error}", self.name))
    }

    fn follow_once(&self) -> Result<(), String> {
        let mut stage = Stage::new(&self.folder);
        for shown in self.commands() {
            if let Some(server) = shown.command.strip_suffix(" &") {
                stage.serve(server);
                continue;
            }
            let printed = stage.run(&shown.command)?;
            if !shown.is_as_printed(&printed) {
                let (command, output) = (&shown.command, shown.output.join("\n"));
                return Err(format!("{command}\n{printed}\nis shown as\n{output}\n"));
            }
        }
        Ok(())
    }

    /// Blocks of YAML on the page that no file of the folder contains.
    fn foreign_blocks(&self) -> Vec<String> {
        let plain =
            |text: &str| -> String { text.lines().flat_map(|line| [line.trim(), "\n"]).collect() };
        let files = fs::read_dir(&self.folder).expect("the folder of the recipe");
        let texts = files.map(|entry| fs::read_to_string(entry.expect("an entry").path()));
        let texts: Vec<String> = texts.map(|text| plain(&text.expect("a text"))).collect();
        let is_foreign = |block: &String| !texts.iter().any(|text| text.contains(&plain(block)));
        let blocks = ["```yaml\n", "```yml\n", "```csv\n"].map(|fence| self.blocks(fence));
        blocks.into_iter().flatten().filter(is_foreign).collect()
    }

    fn blocks(&self, fence: &str) -> Vec<String> {
        let blocks = self.page.split(fence).skip(1);
        let inner = blocks.map(|rest| rest.split("```").next().unwrap_or_default());
        inner.map(str::to_owned).collect()
    }
}

#[test]
fn each_page_has_a_folder_and_commands_through_envoy() {
    let recipes = recipes();
    let folders = recipes.iter().map(|recipe| recipe.folder.file_name());
    let folders = folders.map(|name| name.expect("a name").to_str().expect("UTF-8").to_owned());
    assert_eq!(folders.collect::<BTreeSet<_>>(), names("examples/recipes"));
    for recipe in recipes {
        let commands = recipe.commands();
        let has = |program: &str| {
            commands
                .iter()
                .any(|shown| shown.command.starts_with(program) && !shown.output.is_empty())
        };
        assert!(has("curl "), "{}: no request through Envoy", recipe.name);
    }
}

#[test]
fn what_pages_show_is_in_the_files_that_are_run() {
    for recipe in recipes() {
        let foreign = recipe.foreign_blocks();
        assert!(
            foreign.is_empty(),
            "{}: in no file:\n{}",
            recipe.name,
            foreign.join("\n\n")
        );
    }
}

#[test]
fn policies_of_recipes_are_checked_and_tested() {
    for recipe in recipes() {
        for arguments in [
            ["check", "--deny-warnings", "policy.yaml"],
            ["test", "--deny-warnings", "."],
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_weir"))
                .args(arguments)
                .current_dir(&recipe.folder)
                .output()
                .expect("weir starts");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}: {said}", recipe.name);
        }
    }
}

#[test]
fn the_page_on_tls_is_followed() {
    let programs = [&program::ENVOY, &program::OPENSSL];
    if !programs.iter().all(|program| program.is_installed()) {
        return;
    }
    let empty = tempfile::tempdir().expect("a folder");
    let page = Recipe {
        name: "../tls".to_owned(),
        page: fs::read_to_string(root().join("docs/tls.md")).expect("a page"),
        folder: empty.path().to_owned(),
    };
    page.follow().expect("what is shown");
}

#[test]
fn commands_of_recipes_print_what_is_shown() {
    let programs = [&program::ENVOY, &program::CURL, &program::REDIS];
    if !programs.iter().all(|program| program.is_installed()) {
        return;
    }
    let outcomes = recipes().into_iter().map(|recipe| recipe.follow());
    let faults: Vec<String> = outcomes.filter_map(Result::err).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
