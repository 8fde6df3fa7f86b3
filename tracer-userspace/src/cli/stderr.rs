//! Words for the person at the terminal. The standard library's macros panic where they cannot be written: when the terminal was closed
//! (a lost connection to the host), or the reader of a pipe has gone. A recording must come to its end all the same, so these shadow them in
//! all commands, and what cannot be said is dropped.

/// Like the standard library's, but says nothing where nobody listens.
macro_rules! eprint {
    ($($what:tt)*) => {{
        use ::std::io::Write as _;
        // Whoever should hear it has gone.
        let _ = ::std::write!(::std::io::stderr(), $($what)*);
    }};
}

/// Likewise, with a newline.
macro_rules! eprintln {
    ($($what:tt)*) => {{
        use ::std::io::Write as _;
        let _ = ::std::writeln!(::std::io::stderr(), $($what)*);
    }};
}
