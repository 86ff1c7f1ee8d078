//! Commands that a page shows in `console` blocks, and whether they print what it shows.

/// A command of a page, and the output below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The heading of the second level that it is under; empty above the first.
    pub section: String,
    /// Without the `$`; several lines after a backslash.
    pub command: String,
    /// Its lines.
    pub output: Vec<String>,
}

/// The commands of all `console` blocks of a page in Markdown, in order.
///
/// A command begins with `$ `, and continues in the next line after a backslash. A block in a list loses its indentation.
///
/// # Panics
/// When a block does not begin with a command, or does not end.
#[must_use]
pub fn shown(page: &str) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    for (at, fence) in page.match_indices("```console\n") {
        let (before, block) = (&page[..at], &page[at + fence.len()..]);
        let section = before
            .rsplit_once("\n## ")
            .map_or("", |(_, section)| section);
        let section = section.lines().next().unwrap_or_default();
        let (block, _) = block.split_once("```").expect("the end of a block");
        let indent = block.len() - block.trim_start().len();
        let mut lines = block
            .lines()
            .map(|line| line.get(indent..).unwrap_or_default());
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("$ ") else {
                let above = commands.last_mut().expect("a command above its output");
                above.output.push(line.to_owned());
                continue;
            };
            let mut command = first.to_owned();
            while command.ends_with('\\') {
                command.push('\n');
                command.push_str(lines.next().expect("the rest of a command"));
            }
            commands.push(Shown {
                section: section.to_owned(),
                command,
                output: Vec::new(),
            });
        }
        // The end of a block in a list.
        let output = commands.last_mut().map(|last| &mut last.output);
        if let Some(output) = output {
            while output.last().is_some_and(|line| line.is_empty()) {
                output.pop();
            }
        }
    }
    commands
}

impl Shown {
    /// The arguments, if it is a command of weir; without quotes.
    #[must_use]
    pub fn weir_arguments(&self) -> Option<Vec<&str>> {
        let arguments = self.command.strip_prefix("weir ")?;
        Some(arguments.split(' ').collect())
    }

    /// Checks what the command printed.
    ///
    /// # Panics
    /// When it differs from what is shown.
    pub fn assert_prints(&self, printed: &str) {
        assert!(
            self.is_as_printed(printed),
            "{}\n{printed}\nis shown as\n{}",
            self.command,
            self.output.join("\n")
        );
    }

    /// Whether a command that printed this printed what is shown; `…` is anything, on a line of its own any number of lines.
    #[must_use]
    pub fn is_as_printed(&self, printed: &str) -> bool {
        let mut rest = printed.trim_end();
        let mut is_open = false;
        for line in &self.output {
            if line == "…" {
                is_open = true;
                continue;
            }
            let mut lines = rest.split_inclusive('\n');
            let mut skipped = 0;
            loop {
                let Some(next) = lines.next() else {
                    return false;
                };
                skipped += next.len();
                if is_line(next.trim_end_matches(['\r', '\n']), line) {
                    break;
                }
                if !is_open {
                    return false;
                }
            }
            rest = &rest[skipped..];
            is_open = false;
        }
        is_open || rest.is_empty()
    }
}

fn is_line(line: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut is_open = false;
    for part in parts {
        is_open = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    is_open || rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_console_blocks() {
        let page =
            "# A\n```sh\n$ no\n```\n## B\n- ```console\n  $ a \\\n    b\n  c\n\n  $ d\n  ```\n";
        let commands = shown(page);
        let texts: Vec<&str> = commands.iter().map(|it| it.command.as_str()).collect();
        assert_eq!(texts, ["a \\\n  b", "d"]);
        assert_eq!(commands[0].output, ["c", ""]);
        assert_eq!(commands[1].section, "B");
    }

    #[test]
    fn an_ellipsis_is_anything() {
        let output = ["a", "…", "c … e"].map(str::to_owned).to_vec();
        let shown = Shown {
            section: String::new(),
            command: String::new(),
            output,
        };
        assert!(shown.is_as_printed("a\nb\nb\nc d e\n"));
        assert!(!shown.is_as_printed("a\nb\nc d\n"));
        assert!(!shown.is_as_printed("a\nc d e\nf\n"));
    }
}
