//! Where spans are pushed to: what `--push` says.

use std::fmt;

use http::Uri;

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// OTLP over HTTP, Protocol Buffers.
    Otlp,
    /// OTLP over HTTP, JSON.
    OtlpJson,
    /// OTLP over gRPC.
    OtlpGrpc,
    /// Zipkin's POST, version 2.
    Zipkin,
}

impl Language {
    const ALL: [Language; 4] = [Self::Otlp, Self::OtlpJson, Self::OtlpGrpc, Self::Zipkin];

    /// What stands before `+http` in an address.
    fn word(self) -> &'static str {
        match self {
            Self::Otlp => "otlp",
            Self::OtlpJson => "otlp+json",
            Self::OtlpGrpc => "otlp+grpc",
            Self::Zipkin => "zipkin",
        }
    }

    /// The port that its receivers listen on unless told otherwise.
    fn port(self) -> u16 {
        match self {
            Self::Otlp | Self::OtlpJson => 4318,
            Self::OtlpGrpc => 4317,
            Self::Zipkin => 9411,
        }
    }

    /// Where it takes spans (OTLP specification, "OTLP/HTTP Request"; zipkin2-api.yaml; opentelemetry-proto, `trace_service.proto`).
    fn path(self) -> &'static str {
        match self {
            Self::Otlp | Self::OtlpJson => "/v1/traces",
            Self::OtlpGrpc => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Zipkin => "/api/v2/spans",
        }
    }

    /// Where it takes metrics (likewise; `metrics_service.proto`).
    fn metrics_path(self) -> Option<&'static str> {
        match self {
            Self::Otlp | Self::OtlpJson => Some("/v1/metrics"),
            Self::OtlpGrpc => Some("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
            Self::Zipkin => None,
        }
    }
}

/// A collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// How it is spoken to.
    pub language: Language,
    /// Its name or address, without the brackets of IPv6.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Where it takes spans.
    pub uri: Uri,
    /// Where it takes metrics; Zipkin has none.
    pub metrics: Option<Uri>,
}

/// Shown with everything that is not understood.
const EXAMPLES: &str = "write otlp+http://HOST:4318, otlp+json+http://HOST:4318, otlp+grpc://HOST:4317 or zipkin+http://HOST:9411; \
                        with TLS, https instead of http and otlp+grpcs instead of otlp+grpc";

impl Place {
    /// Reads an address. What is wrong with it is told without what may be a secret in it.
    ///
    /// # Errors
    ///
    /// Says what is not understood, with examples.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (language, is_tls, rest) = scheme(text)
            .ok_or_else(|| format!("it does not say how the collector is spoken to: {EXAMPLES}"))?;
        if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
            return Err("a name or password does not go into the address: give them with --push-header \
                        'Authorization: …', or --push-header @FILE"
                .to_owned());
        }
        let given: Uri = format!("{}://{rest}", if is_tls { "https" } else { "http" })
            .parse()
            .map_err(|_| format!("it is no address: {EXAMPLES}"))?;
        let host = given.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| format!("no host: {EXAMPLES}"))?.to_owned();
        let authority = given.authority().map_or("", |authority| authority.as_str());
        let has_port = authority.len() > host.len();
        let port = match given.port_u16() {
            Some(port) if port > 0 => port,
            None if !has_port && is_tls => 443,
            None if !has_port => language.port(),
            Some(_) | None => return Err(format!("the port is no number from 1 to 65535: {EXAMPLES}")),
        };
        if given.query().is_some() {
            return Err(format!("nothing stands behind a question mark: {EXAMPLES}"));
        }
        let path = path(language, given.path())?;
        let uri = |path: String| {
            Uri::builder()
                .scheme(if is_tls { "https" } else { "http" })
                .authority(format!("{host}:{port}"))
                .path_and_query(path)
                .build()
                .map_err(|_| format!("it is no address: {EXAMPLES}"))
        };
        let below = path.strip_suffix(language.path()).unwrap_or_default();
        let metrics = language.metrics_path().map(|own| uri(format!("{below}{own}"))).transpose()?;
        let uri = uri(path)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { language, host, port, uri, metrics })
    }

    /// Whether what is sent is encrypted.
    pub fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Whether what is sent stays on this host, as far as the name tells.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Place {
    /// The host and the port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri.authority().map_or(&self.host, |authority| authority.as_str()))
    }
}

/// Takes the scheme off.
fn scheme(text: &str) -> Option<(Language, bool, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let is = |language: Language, is_tls: bool| match (language, is_tls) {
        // That it is over HTTP/2 is gRPC's own business.
        (Language::OtlpGrpc, false) => scheme == "otlp+grpc",
        (Language::OtlpGrpc, true) => scheme == "otlp+grpcs",
        (_, false) => scheme.strip_suffix("+http") == Some(language.word()),
        (_, true) => scheme.strip_suffix("+https") == Some(language.word()),
    };
    Language::ALL
        .into_iter()
        .flat_map(|language| [(language, false), (language, true)])
        .find(|(language, is_tls)| is(*language, *is_tls))
        .map(|(language, is_tls)| (language, is_tls, rest))
}

/// Where spans are taken, below a path that was given.
fn path(language: Language, given: &str) -> Result<String, String> {
    let given = given.trim_end_matches('/');
    let own = language.path();
    match language {
        _ if given.is_empty() => Ok(own.to_owned()),
        Language::OtlpGrpc => Err(format!("gRPC has no path: {EXAMPLES}")),
        // As with OTEL_EXPORTER_OTLP_ENDPOINT, what is given is where all of OTLP is; that of traces alone is understood too.
        _ if given.ends_with(own) => Ok(given.to_owned()),
        _ => Ok(format!("{given}{own}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_and_where() {
        for (text, language, uri) in [
            ("otlp+http://localhost:4318", Language::Otlp, "http://localhost:4318/v1/traces"),
            ("otlp+http://collector", Language::Otlp, "http://collector:4318/v1/traces"),
            ("OTLP+JSON+HTTP://10.0.0.1/", Language::OtlpJson, "http://10.0.0.1:4318/v1/traces"),
            ("otlp+https://x.example/otlp", Language::Otlp, "https://x.example:443/otlp/v1/traces"),
            ("otlp+https://x.example:1/v1/traces", Language::Otlp, "https://x.example:1/v1/traces"),
            ("zipkin+http://[::1]", Language::Zipkin, "http://[::1]:9411/api/v2/spans"),
            ("zipkin+https://z/a/", Language::Zipkin, "https://z:443/a/api/v2/spans"),
            (
                "otlp+grpc://c",
                Language::OtlpGrpc,
                "http://c:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            ),
        ] {
            let place = Place::parse(text).unwrap();
            assert_eq!((place.language, place.uri.to_string().as_str()), (language, uri));
        }
        assert!(Place::parse("otlp+grpcs://c:1").unwrap().is_tls());
        for (text, metrics) in [
            ("otlp+http://c", Some("http://c:4318/v1/metrics")),
            ("otlp+https://c/otlp/v1/traces", Some("https://c:443/otlp/v1/metrics")),
            (
                "otlp+grpc://c",
                Some("http://c:4317/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
            ),
            ("zipkin+http://c", None),
        ] {
            let place = Place::parse(text).unwrap();
            assert_eq!(place.metrics.map(|uri| uri.to_string()).as_deref(), metrics);
        }
        let place = Place::parse("zipkin+http://[::1]").unwrap();
        assert_eq!(
            (place.host.as_str(), place.port, place.to_string().as_str()),
            ("::1", 9411, "[::1]:9411")
        );
        assert!(place.is_loopback() && !Place::parse("otlp+http://c").unwrap().is_loopback());
    }

    #[test]
    fn what_is_not_understood_is_told_with_an_example() {
        for bad in [
            "",
            "localhost:4318",
            "http://localhost:4318",
            "otlp://x",
            "otlp+http://",
            "otlp+http://:4318",
            "otlp+http://x:0",
            "otlp+http://x:99999",
            "otlp+http://x:abc",
            "otlp+http://x y",
            "otlp+http://x/?a=b",
            "otlp+grpc://x/path",
            "zipkin+grpc://x",
        ] {
            let said = Place::parse(bad).unwrap_err();
            assert!(said.contains("otlp+http://HOST:4318"), "{bad}: {said}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        let said = Place::parse("otlp+http://me:hunter2@x").unwrap_err();
        assert!(said.contains("--push-header") && !said.contains("hunter2"), "{said}");
    }
}
