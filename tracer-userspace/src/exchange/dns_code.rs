//! What a DNS response says of itself in a number (RFC 6895 section 2.3, with the extended codes of RFC 6891).

/// A code's name; `None`: none is assigned.
pub fn name(code: u16) -> Option<&'static str> {
    Some(match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        11 => "DSOTYPENI",
        16 => "BADVERS",
        17 => "BADKEY",
        18 => "BADTIME",
        19 => "BADMODE",
        20 => "BADNAME",
        21 => "BADALG",
        22 => "BADTRUNC",
        23 => "BADCOOKIE",
        _ => return None,
    })
}

/// Whether a code means that the lookup failed. That a name does not exist is an answer, which every resolver gets that tries a list of
/// search domains.
pub fn is_failure(code: u16) -> bool {
    !matches!(code, 0 | 3)
}
