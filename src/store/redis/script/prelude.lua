-- Takes batches of hits, in order, each seeing those before it. A batch is what one request asks for.
--
-- KEYS       the counters of all batches: the states of a rule's limits for one client key, as src/limit/encoding.rs
--            writes them
-- ARGV[1]    whose clock it is: 0 this server's, 1 the caller's; then the milliseconds a counter is kept after its end
-- ARGV[1+i]  batch i, as src/store/redis/script.rs writes it
--
-- Returns this server's time in microseconds; the first error of a read or write, else 1 if something was written, else
-- false; and for each counter what its batch found: the states as bytes, false where nothing is counted, or 0 where it could not be counted.
--
-- Everything here does what src/limit/ and src/store/batch.rs do, to the microsecond: all numbers are whole and below
-- 2^53. The caller learns the outcomes by the same steps from the states that were found.
--
-- A stored number is believed only within its range, so whatever a key holds, no loop is longer than the segments of a
-- window or the leases of a limit.

local PEEK, HITS, REFUND, RELEASE, MERGE = 0, 1, 2, 3, 4
local ENFORCED, QUOTA = 0, 1
local WHOLE, WITHOUT_SLOTS, ONLY_ALWAYS = 0, 1, 2
local FIXED_WINDOW, TOKEN_BUCKET, CONCURRENCY, CALENDAR, BLOCK = 1, 3, 4, 5, 6
-- The ranges of what is stored, as in src/limit/encoding.rs.
local MAX_TIME, MAX_COUNT, MAX_UNITS = 2 ^ 53 - 1, 2 ^ 52, 2 ^ 50
local MAX_LIMITS, MAX_LEASES, MAX_LEVELS = 16, 100000, 8
local MAX_AHEAD = 1000000
local SEGMENTS = 16

local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local pack, unpack_from = struct.pack, struct.unpack

local is_local_clock, grace = unpack_from('<BI8', ARGV[1])
local time = redis.call('TIME')
local server_now = time[1] * 1000000 + time[2]

-- The error of the first read or write that failed, else 1 if something was written.
local report = false
local found = {}

-- The batch to be taken next, and how many counters were before it.
local next_batch, first = 2, 0

local function time_of_call(call_time)
    if is_local_clock == 1 then
        return min(call_time, server_now + MAX_AHEAD)
    end
    return server_now
end

-- A state with what an instance has counted without it: what is `here`, less what was `remote` before; `amount` says how
-- much each is. A state that may have been lost is at least `remote` again.
local function merged(state, delta, amount)
    local current, remote = amount(state), amount(delta.remote)
    if delta.at_least then
        current = max(current, remote)
    end
    return max(current + amount(delta.here) - remote, 0)
end

local function failed(reply)
    if type(report) ~= 'string' then
        report = reply.err
    end
    return 0
end

local function succeeded()
    report = report or 1
end
