<?php
// A PHP service: /item/ at once, /slow/ after 20 ms, /missing/ not at all, /upload/ counts a body, /front calls the
// backend twice with PHP's own blocking client.

function call_backend(string $incoming): bool
{
    $outgoing = bin2hex(random_bytes(8));
    file_put_contents($_SERVER['TRUTH'], "$incoming $outgoing\n", FILE_APPEND);
    return file_get_contents("http://{$_SERVER['BACKEND']}/b?truth=$outgoing") !== false;
}

header('Content-Type: text/plain');
$path = strtok($_SERVER['REQUEST_URI'], '?');
$body = "ok\n";
if ($path === '/front') {
    $incoming = $_GET['truth'] ?? '-';
    if (!(call_backend($incoming) && call_backend($incoming))) {
        http_response_code(502);
    }
} elseif (str_starts_with($path, '/slow/')) {
    usleep(20000);
} elseif (str_starts_with($path, '/missing/')) {
    http_response_code(404);
} elseif (str_starts_with($path, '/upload/')) {
    $body = strlen(file_get_contents('php://input')) . "\n";
}
header('Content-Length: ' . strlen($body));
echo $body;
