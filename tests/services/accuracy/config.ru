# A Rack service for puma: a thread of its pool serves a request and calls over a connection that the thread keeps.
require 'net/http'
require 'securerandom'
require 'socket'

WAIT = 'db'
NOBODY = '-'
# The call that sends a body, as the request does that asks for it.
SAVE = 'save'
BODY = '{"item": "0123456789abcdef0123456789abcdef", "count": 12}'
PLANS = {
  '/front' => [['b'], ['c']],
  '/other' => [['c'], ['d']],
  '/fan' => [['b', 'c']],
  '/repeat' => [['b'], ['b'], ['b']],
  '/skip' => [['b'], ['c']],
  '/db' => [[WAIT], ['b']],
  '/post' => [[SAVE], ['c']]
}.freeze
TRUTH = File.open(ENV.fetch('TRUTH'), 'a').tap { |file| file.sync = true }

def query_database
  socket = Thread.current[:database] ||= TCPSocket.new(*ENV.fetch('DATABASE').split(':'))
  socket.write("*1\r\n$4\r\nPING\r\n")
  socket.gets
end

def call(incoming, name)
  return query_database if name == WAIT

  fresh = SecureRandom.hex(8)
  TRUTH.write("#{incoming} #{fresh}\n")
  host, port = ENV.fetch('BACKEND').split(':')
  # Proxies of the environment are no concern of this test.
  backend = Thread.current[:backend] ||= Net::HTTP.new(host, port.to_i, nil).tap { |http| http.keep_alive_timeout = 60 }.start
  return backend.post("/#{name}", BODY, 'x-truth-id' => fresh, 'Content-Type' => 'application/json') if name == SAVE

  backend.get("/#{name}", 'x-truth-id' => fresh)
end

background = ENV.fetch('BACKGROUND', '0').to_i
if background.positive?
  Thread.new do
    loop do
      sleep(background / 1000.0)
      call(NOBODY, 'tick')
    end
  end
end

run(lambda do |environment|
  path = environment['PATH_INFO']
  incoming = environment.fetch('HTTP_X_TRUTH_ID', NOBODY)
  environment['rack.input'].read if environment['REQUEST_METHOD'] == 'POST'
  PLANS.fetch(path, []).each do |step|
    next if path == '/skip' && rand < 0.3

    if step.size == 1
      call(incoming, step.first)
    else
      step.map { |name| Thread.new { call(incoming, name) } }.each(&:join)
    end
  end
  [200, { 'Content-Type' => 'text/plain', 'Content-Length' => '3' }, ["ok\n"]]
end)
