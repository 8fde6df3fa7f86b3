<?php
// The PHP service of the accuracy harness: blocking, a connection for each call, one process for each request.

const WAIT = 'db';
// The call that sends a body, as the request does that asks for it.
const SAVE = 'save';
const BODY = '{"item": "0123456789abcdef0123456789abcdef", "count": 12}';
const PLANS = [
    '/front' => ['b', 'c'],
    '/other' => ['c', 'd'],
    '/repeat' => ['b', 'b', 'b'],
    '/skip' => ['b', 'c'],
    '/db' => [WAIT, 'b'],
    '/post' => [SAVE, 'c'],
];

function call_backend(string $incoming, string $name): void
{
    if ($name === WAIT) {
        $database = stream_socket_client("tcp://{$_SERVER['DATABASE']}");
        fwrite($database, "*1\r\n\$4\r\nPING\r\n");
        fgets($database);
        return;
    }
    $fresh = bin2hex(random_bytes(8));
    file_put_contents($_SERVER['TRUTH'], "$incoming $fresh\n", FILE_APPEND);
    $options = ['http' => ['header' => "x-truth-id: $fresh"]];
    if ($name === SAVE) {
        $options['http'] = ['method' => 'POST', 'content' => BODY,
            'header' => "x-truth-id: $fresh\r\nContent-Type: application/json"];
    }
    file_get_contents("http://{$_SERVER['BACKEND']}/$name", false, stream_context_create($options));
}

$path = strtok($_SERVER['REQUEST_URI'], '?');
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    file_get_contents('php://input');
}
foreach (PLANS[$path] ?? [] as $name) {
    if ($path !== '/skip' || random_int(0, 9) >= 3) {
        call_backend($_SERVER['HTTP_X_TRUTH_ID'] ?? '-', $name);
    }
}
header('Content-Type: text/plain');
header('Content-Length: 3');
echo "ok\n";
