//! The book of `docs/`: mdBook builds it, and no link in it, or in another page of the repository, leads nowhere.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use weir_harness::program::{LYCHEE, MDBOOK};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The output of a command that must succeed.
fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    output
}

/// Checks links within the repository, and the anchors that they name. Nothing is fetched.
fn check_links(lychee: &Path, folder: &Path, inputs: &[&str]) {
    let mut command = Command::new(lychee);
    command
        .current_dir(folder)
        .args(["--offline", "--include-fragments", "--no-progress"])
        // mdBook itself reads the table of contents.
        .args(["--exclude-path", "SUMMARY.md"]);
    succeed(command.args(inputs));
}

#[test]
fn no_link_of_the_pages_leads_nowhere() {
    let Some(lychee) = LYCHEE.or_skip() else {
        return;
    };
    let inputs = [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs",
        "examples",
    ];
    check_links(lychee, root(), &inputs);
}

#[test]
fn the_book_is_built_and_none_of_its_links_leads_nowhere() {
    let (Some(mdbook), Some(lychee)) = (MDBOOK.or_skip(), LYCHEE.or_skip()) else {
        return;
    };
    let site = tempfile::tempdir().expect("a folder");
    // Pages link to files of these folders, which are published beside the book.
    for folder in ["config", "deploy", "examples"] {
        symlink(root().join(folder), site.path().join(folder)).expect("a link");
    }
    let pages = site.path().join("docs");
    succeed(
        Command::new(mdbook)
            .arg("build")
            .arg("--dest-dir")
            .arg(&pages)
            .arg(root()),
    );
    assert!(pages.join("getting-started.html").is_file());
    check_links(lychee, site.path(), &["docs"]);
}
