//! Where the answer to a command ends, packet by packet, and whether it is an error.
//!
//! Nothing here needs to know what was agreed on when the connection began: whether EOF packets are sent, and whether the columns'
//! descriptions are left out (MariaDB), shows in the packets themselves.

use super::packet::{LONGEST, Packet, Reader, eof_status, ok_status, status};

/// What a command is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// OK, or an error.
    Ok,
    /// OK, an error, or rows.
    Rows,
    /// Rows without their description.
    Fetch,
    /// A statement's number, and descriptions.
    Prepare,
    /// Descriptions only.
    Fields,
    /// One packet of text.
    Text,
    /// Who are you? As at the beginning.
    Login,
    /// Events without an end.
    Stream,
}

/// What a packet means for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It goes on.
    More,
    /// It may be over: that depends on what is not known.
    Maybe,
    /// It is over.
    Over,
    /// The client is asked for a file.
    File,
    /// That cannot be.
    Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// Descriptions of columns; then rows, if there are any.
    Columns {
        left: u64,
        rows: bool,
    },
    /// Behind the columns: an EOF packet, or the first row.
    Described,
    Rows,
    /// Descriptions of a statement's parameters or columns, of which so many are left; then of columns.
    Definitions {
        left: u16,
        then: u16,
    },
    /// Behind the parameters: an EOF packet, or the first column.
    Between {
        columns: u16,
    },
    /// Behind the last description of a statement: an EOF packet, or nothing.
    Last,
}

/// An answer that is being given.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    shape: Shape,
    state: State,
    /// The packet before was of full length: what follows continues it.
    continues: bool,
    /// The code of the error.
    pub error: Option<u16>,
    /// The server's status, as last told.
    pub status: Option<u16>,
    /// The number of the prepared statement.
    pub statement: Option<u32>,
}

impl Answer {
    pub fn new(shape: Shape) -> Answer {
        let state = if shape == Shape::Fetch { State::Rows } else { State::Head };
        Answer { shape, state, continues: false, error: None, status: None, statement: None }
    }

    /// Takes a packet. `eof`: whether the server sends EOF packets, as far as that is known; told when it shows.
    pub fn packet(&mut self, packet: &Packet<'_>, eof: &mut Option<bool>) -> Next {
        let continued = std::mem::replace(&mut self.continues, packet.len == LONGEST);
        if continued {
            return Next::More;
        }
        let Some(first) = packet.payload.first().copied() else {
            // Only events and texts may be empty.
            return match self.shape {
                Shape::Text if packet.len == 0 => Next::Over,
                Shape::Stream => Next::More,
                _ => Next::Wrong,
            };
        };
        if first == 0xff && self.shape != Shape::Text {
            return self.failed(packet);
        }
        match self.state {
            State::Head => self.head(first, packet),
            State::Columns { left, rows } => {
                self.state = match (left.saturating_sub(1), rows) {
                    (0, true) => State::Described,
                    (left, _) => State::Columns { left, rows },
                };
                if !rows && first == 0xfe { self.end_of_rows(packet) } else { Next::More }
            }
            State::Described => {
                *eof = Some(first == 0xfe && packet.len == 5);
                self.state = State::Rows;
                if *eof == Some(true) {
                    self.status = eof_status(packet.payload);
                    // The rows wait, unless the statement has none left to wait.
                    return match self.status {
                        Some(status) if status & status::CURSOR == 0 => Next::More,
                        Some(_) => Next::Over,
                        None => Next::Wrong,
                    };
                }
                self.row(first, packet)
            }
            State::Rows => self.row(first, packet),
            State::Definitions { left, then } => self.defined(left.saturating_sub(1), then, *eof),
            State::Between { columns } => {
                let is_eof = first == 0xfe && packet.len == 5;
                *eof = Some(is_eof);
                self.defined(columns.saturating_sub(u16::from(!is_eof)), 0, *eof)
            }
            State::Last => {
                let is_eof = first == 0xfe && packet.len == 5;
                *eof = Some(is_eof);
                if is_eof { Next::Over } else { Next::Wrong }
            }
        }
    }

    fn head(&mut self, first: u8, packet: &Packet<'_>) -> Next {
        match (self.shape, first) {
            (Shape::Text, _) => Next::Over,
            (Shape::Stream, _) => Next::More,
            (Shape::Prepare, 0) => self.prepared(packet),
            // Requests to authenticate in another way, or further.
            (Shape::Login, 0xfe | 1) => Next::More,
            (Shape::Fields, 0xfe) | (Shape::Ok, 0xfe) if packet.len == 5 => Next::Over,
            (Shape::Fields, _) => {
                self.state = State::Columns { left: u64::MAX, rows: false };
                Next::More
            }
            (_, 0) => match ok_status(packet.payload) {
                Some(status) => self.told(status),
                None => Next::Wrong,
            },
            (Shape::Rows, 0xfb) => Next::File,
            (Shape::Rows, _) => {
                let mut reader = Reader(packet.payload);
                match (reader.number(), reader.byte(), packet.is_whole()) {
                    (Some(columns), None, true) if columns > 0 => {
                        self.state = State::Columns { left: columns, rows: true };
                        Next::More
                    }
                    // MariaDB says whether descriptions follow (MARIADB_CLIENT_CACHE_METADATA).
                    (Some(columns), Some(follow @ 0..=1), true) if columns > 0 && reader.0.is_empty() => {
                        let described = State::Columns { left: columns, rows: true };
                        self.state = if follow == 1 { described } else { State::Described };
                        Next::More
                    }
                    _ => Next::Wrong,
                }
            }
            _ => Next::Wrong,
        }
    }

    fn row(&mut self, first: u8, packet: &Packet<'_>) -> Next {
        // A row that begins so is at least as long as the longest packet.
        if first == 0xfe && packet.len < LONGEST { self.end_of_rows(packet) } else { Next::More }
    }

    fn end_of_rows(&mut self, packet: &Packet<'_>) -> Next {
        let status = if packet.len == 5 { eof_status(packet.payload) } else { ok_status(packet.payload) };
        status.map_or(Next::Wrong, |status| self.told(status))
    }

    /// An OK or EOF packet told the status.
    fn told(&mut self, status: u16) -> Next {
        self.status = Some(status);
        if status & status::MORE_RESULTS == 0 {
            return Next::Over;
        }
        self.state = State::Head;
        Next::More
    }

    fn failed(&mut self, packet: &Packet<'_>) -> Next {
        match packet.payload {
            // MariaDB's progress reports look like errors.
            [_, 0xff, 0xff, ..] => Next::More,
            [_, low, high, ..] => {
                self.error = Some(u16::from_le_bytes([*low, *high]));
                Next::Over
            }
            _ => Next::Wrong,
        }
    }

    fn prepared(&mut self, packet: &Packet<'_>) -> Next {
        let mut reader = Reader(packet.payload.get(1..).unwrap_or_default());
        let (statement, columns, parameters) = (reader.u32(), reader.u16(), reader.u16());
        self.statement = statement;
        match (parameters, columns) {
            (Some(0), Some(0)) => Next::Over,
            (Some(0), Some(columns)) => self.defined(columns, 0, None),
            (Some(parameters), Some(columns)) => self.defined(parameters, columns, None),
            _ => Next::Wrong,
        }
    }

    /// So many descriptions are left, and then so many of columns.
    fn defined(&mut self, left: u16, then: u16, eof: Option<bool>) -> Next {
        if left > 0 {
            self.state = State::Definitions { left, then };
            return Next::More;
        }
        if then > 0 {
            self.state = State::Between { columns: then };
            return Next::More;
        }
        self.state = State::Last;
        match eof {
            Some(false) => Next::Over,
            Some(true) => Next::More,
            None => Next::Maybe,
        }
    }
}
