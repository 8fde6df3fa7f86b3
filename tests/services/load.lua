-- The load: every request has a target of its own, PREFIX followed by sixteen hex digits, the prefixes in turn.
--
--   wrk ... -s load.lua URL -- FIRST_ID QUIET_AFTER_MS PREFIX...
--
-- QUIET_AFTER_MS milliseconds after the first request no connection sends another one, so that wrk, which ends by
-- closing its connections at once, closes idle ones and every request that was sent has been answered. 0: never quiet.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long tv_sec; long tv_nsec; } e2e_timespec;
  int clock_gettime(int clock, e2e_timespec *now);
]]

local now = ffi.new("e2e_timespec")
local function milliseconds()
  ffi.C.clock_gettime(1, now) -- CLOCK_MONOTONIC
  return tonumber(now.tv_sec) * 1e3 + tonumber(now.tv_nsec) / 1e6
end

local prefixes = {}
local first_id, quiet_after, quiet_at
local count = 0

function init(args)
  first_id = tonumber(args[1])
  quiet_after = tonumber(args[2])
  for i = 3, #args do prefixes[#prefixes + 1] = args[i] end
end

function request()
  local prefix = prefixes[count % #prefixes + 1]
  count = count + 1
  return wrk.format("GET", string.format("%s%08x%08x", prefix, first_id, count))
end

function delay()
  if quiet_after == 0 then return 0 end
  local t = milliseconds()
  quiet_at = quiet_at or (t + quiet_after)
  if t >= quiet_at then return 3600 * 1000 end
  return 0
end
