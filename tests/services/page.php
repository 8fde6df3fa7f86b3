<?php
$start = hrtime(true);
// A page for services/fpm.rs: small, slow, missing or large, as its path says.
$path = $_SERVER['SCRIPT_NAME'];
if (str_starts_with($path, '/missing/')) {
    http_response_code(404);
}
if (str_starts_with($path, '/slow/')) {
    usleep(20000);
}
header('Content-Type: text/plain');
// A body is read to its end, and counted.
$received = strlen(file_get_contents('php://input'));
// For PHP-FPM's log: the request has been read, and nothing written.
header('X-Micros: ' . intdiv(hrtime(true) - $start, 1000));
echo str_starts_with($path, '/large/') ? str_repeat('0123456789abcdef', 8192) : "ok\n";
echo $received, "\n";
