//! What each source file of the library names: every path in its code, without tests and what only they use.

use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, ImplItem, Item, Lit, Meta, UseTree};

/// A file.
pub struct Source {
    /// Below `src/`.
    pub file: String,
    /// The module of the crate that it belongs to: `capture`.
    pub module: String,
    /// What it names, as written: `crate::time::Nanos`, `std::fs::File`, and `super::…`.
    pub paths: Vec<String>,
}

/// All files that are compiled into the shipped program, but for `lib.rs` and `main.rs`, which only lead there.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for item in parse(&root.join("lib.rs")).items {
        if let Item::Mod(module) = item
            && !of_tests(&module.attrs)
        {
            let name = module.ident.to_string();
            read(&root, &root, &name, None, &name, &mut found);
        }
    }
    found
}

/// Reads module `name` of those that lie in `folder`, and what it is made of.
fn read(root: &Path, folder: &Path, name: &str, at: Option<PathBuf>, top: &str, found: &mut Vec<Source>) {
    let file = at.unwrap_or_else(|| {
        let own = folder.join(format!("{name}.rs"));
        if own.exists() { own } else { folder.join(name).join("mod.rs") }
    });
    let mut names = Names::default();
    names.visit_file(&parse(&file));
    let below = folder.join(name);
    for (name, path) in std::mem::take(&mut names.modules) {
        let at = path.map(|path| file.with_file_name(path));
        read(root, &below, &name, at, top, found);
    }
    let file = file.strip_prefix(root).unwrap_or(&file).display().to_string();
    found.push(Source { file, module: top.to_owned(), paths: names.paths });
}

fn parse(file: &Path) -> syn::File {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// `#[test]`, or `#[cfg(…)]` that names them.
fn of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string().contains("test"),
        _ => false,
    })
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

#[derive(Default)]
struct Names {
    paths: Vec<String>,
    /// Modules in files of their own, and where, if that is said.
    modules: Vec<(String, Option<String>)>,
}

impl Names {
    fn used(&mut self, before: &str, tree: &UseTree) {
        let join = |name: &dyn ToString| match before {
            "" => name.to_string(),
            _ => format!("{before}::{}", name.to_string()),
        };
        match tree {
            UseTree::Path(path) => self.used(&join(&path.ident), &path.tree),
            UseTree::Name(name) => self.paths.push(join(&name.ident)),
            UseTree::Rename(name) => self.paths.push(join(&name.ident)),
            UseTree::Glob(_) => self.paths.push(join(&"*")),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.used(before, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if of_tests(attributes) {
            return;
        }
        match item {
            Item::Mod(module) if module.content.is_none() => {
                self.modules.push((module.ident.to_string(), path_attribute(&module.attrs)));
            }
            Item::Use(item) => self.used("", &item.tree),
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        match item {
            ImplItem::Fn(function) if of_tests(&function.attrs) => {}
            _ => visit::visit_impl_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.paths.push(segments.join("::"));
        visit::visit_path(self, path);
    }
}
