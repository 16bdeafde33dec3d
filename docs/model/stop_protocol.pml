/* Copyright 2026 The viam_session_bridge authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The takeover and stop protocol between core, sender and machine, for one base and two clients.
 * README.md next to this file says what stands for what; `check` runs it.
 *
 * Every step below is one feed of the bridge with its drain (or one step of the machine), and
 * atomic, as Shell._feed is. There is no time: what is due after a pause may happen at any later
 * moment, and a deadline passes whenever Spin likes.
 *
 *   STOPS     how many stops may be in flight when the pause hands over one more
 *   ZEROS     how many zero velocities
 *   LOST      how many commands may be unanswered at once
 *   LIVE      the liveness property in place of the witnesses
 *   MUT_...   a mutation, which must be caught
 *   SEE_...   a witness: a situation that must be reachable
 */

#ifndef STOPS
#define STOPS 2
#endif
#ifndef ZEROS
#define ZEROS 1
#endif
#ifndef LOST
#define LOST 2
#endif

#define NOBODY 0
#define A 1
#define B 2

/* Causes of stops (core/said.py: Cause) */
#define LAPSE 1
#define REFUSED 2 /* and ZERO */
#define FAILED 3
#define NO_SESSION 4
#define EXPIRED 5
#define STILL_MOVING 6

#define IS_COVERED(cause) (cause == REFUSED || cause == NO_SESSION)
#define IS_R10(cause) (cause == REFUSED || cause == FAILED || cause == NO_SESSION)

/* ---- The core: sessions and the last user ---- */

byte commander;        /* who commanded last ... */
bit lives;             /* ... and whether its session lives, which then is the last user */

/* ---- The sender of the base (machine/sender.py, machine/stopping.py) ---- */

bit sid;               /* the commander's session has a machine session */
byte waiting;          /* whose command waits */
bit waiting_zero;      /* it is a zero */
bit waiting_again;     /* it is sent for the second time (R13) */
byte flying;           /* whose command is in flight */
bit flying_zero;
bit flying_again;
byte last_sid;         /* whose machine session the newest command went under, if still known */
bit commanded;         /* since the last final stop */
bit stopping;
bit handed_over;       /* Stopping.handed_over */
bit acknowledged;
bit after_ack;         /* Stopping.motion_after_ack */
bit zero_spent;
bit due;               /* within a step: the stop is due now */
bit zero_due;          /* within a step */

/* ---- Calls in flight; how many of each kind ---- */

bit ran;               /* the command in flight took effect */
byte unclean;          /* stops sent beside something unanswered ... */
byte unclean_ran;      /* ... and those of them that took effect */
byte fenced;           /* stops handed over before a command failed (Stopping._fence) */
byte clean;            /* stops sent after every earlier command was answered ... */
byte clean_ran;
byte superseded;       /* stops of a Stopping that became final by another of its calls */
byte zeros;

/* ---- Commands that got no answer (machine/unanswered.py), by what the bridge knows and what
 *      the machine does: it waits for the lock, has its turn, or is gone (ran or never will) -- */

byte lost_waits, lost_turn, lost_gone; /* no probe was answered */
byte probed_turn, probed_gone;         /* a probe sent past the deadline was answered */
#ifdef MUT_SETTLED_BY_PROBE_ALONE
byte forgotten_turn;
#endif

#define ALL_LOST (lost_waits + lost_turn + lost_gone + probed_turn + probed_gone)
#define MAY_ACT_LATE (lost_waits + lost_turn + probed_turn)
#define CALLS (unclean + unclean_ran + fenced + clean + clean_ran)
#define ALL_ANSWERED (flying == NOBODY && zeros == 0 && ALL_LOST == 0)

/* ---- The base, and what the invariants remember ---- */

bit moving;
bit quiet;             /* R7: a stop was final, and no command was handed over since */
bit needs_ack;         /* R10: motion needs a stop acknowledged that was handed over later */
bit acked_since;       /* a stop was acknowledged since the newest command was handed over */
bit older_flying;      /* R9: stops or zeros handed over before the command in flight */
bit taken;             /* R9: a command was accepted after the stop was decided */
bit owed;              /* a stop was decided: neither is it final nor has the base a new owner */

#ifdef LIVE
bit healed;            /* from now on the machine answers stops and probes with OK */
#define FAULTY (!healed)
#else
#define FAULTY true
#endif

/* A witness is reached: that is what is wanted of it. */
#define WITNESS assert(false)

/* ================ The sender ================ */

/* Sender.stop, Stopping.renew */
inline decide_stop(cause, client)
{
  if
  :: cause == REFUSED && !commanded -> /* nothing to stop since the last final stop */
    assert(!moving && waiting == NOBODY && flying == NOBODY && MAY_ACT_LATE == 0) /* R10 */
  :: else ->
    if
    :: cause == FAILED
    :: cause == EXPIRED && waiting != NOBODY && waiting != client
    :: else -> waiting = NOBODY; waiting_zero = 0; waiting_again = 0
    fi;
    if
    :: !stopping ->
      stopping = 1; handed_over = 0; acknowledged = 0; zero_spent = 0; due = 1;
      after_ack = IS_R10(cause);
      taken = cause == LAPSE && client != commander
    :: else ->
      after_ack = after_ack || IS_R10(cause);
      if
      :: IS_COVERED(cause)
      :: else -> acknowledged = 0; due = due || CALLS == 0
      fi
    fi;
    if
    :: IS_R10(cause) && !acked_since -> needs_ack = 1
    :: else
    fi;
    owed = waiting == NOBODY
  fi
}

inline forget_stopping()
{
  stopping = 0; handed_over = 0; acknowledged = 0; after_ack = 0; zero_spent = 0; due = 0;
  zero_due = 0; taken = 0;
  unclean = 0; unclean_ran = 0; fenced = 0; clean = 0; clean_ran = 0
}

/* Sender.forward */
inline forward(client, zero_velocity)
{
  waiting = client; waiting_zero = zero_velocity; waiting_again = 0; commanded = 1; owed = 0;
  if
  :: stopping && !handed_over && !after_ack ->
#ifdef MUT_STOP_NOT_WITHDRAWN
    taken = 1
#else
#ifdef SEE_STOP_WITHDRAWN
    WITNESS;
#endif
    forget_stopping()
#endif
  :: else
  fi
}

/* Stopping.holds_motion */
#if defined(MUT_STOP_IN_FLIGHT_NOT_AWAITED)
#define HOLDS_MOTION (after_ack && !acknowledged)
#elif defined(MUT_ACK_NOT_AWAITED)
#define HOLDS_MOTION (CALLS > 0)
#else
#define HOLDS_MOTION (CALLS > 0 || (after_ack && !acknowledged))
#endif
#ifdef MUT_ZERO_NOT_AWAITED
#define ZEROS_HOLD false
#else
#define ZEROS_HOLD (zeros > 0)
#endif
#ifdef MUT_SUPERSEDED_NOT_AWAITED
#define SUPERSEDED_HOLD false
#else
#define SUPERSEDED_HOLD (superseded > 0)
#endif
#ifdef MUT_TWO_COMMANDS
#define COMMAND_HOLDS false
#else
#define COMMAND_HOLDS (flying != NOBODY)
#endif

/* Sender.sendable */
#define SENDABLE (waiting != NOBODY && !COMMAND_HOLDS && !ZEROS_HOLD && !SUPERSEDED_HOLD \
                  && !(stopping && HOLDS_MOTION))

/* Sender._about_to_move */
#define ABOUT_TO_MOVE (waiting != NOBODY && flying == NOBODY && zeros == 0 && CALLS > 0 \
                       && acknowledged)

#if defined(MUT_REPEATED_DESPITE_TAKEOVER)
#define STOP_MAY_GO true
#elif defined(MUT_STOP_WAITS_FOR_COMMAND)
#define STOP_MAY_GO (flying == NOBODY && !ABOUT_TO_MOVE)
#else
#define STOP_MAY_GO !ABOUT_TO_MOVE
#endif
#if defined(MUT_FINAL_DESPITE_UNANSWERED)
#define SENT_CLEAN (flying == NOBODY && zeros == 0)
#elif defined(MUT_FINAL_BESIDE_COMMAND)
#define SENT_CLEAN (zeros == 0 && ALL_LOST == 0)
#else
#define SENT_CLEAN ALL_ANSWERED
#endif

/* Sender.fail_waiting, Sender._fail of a command that was not sent */
inline fail_waiting(cause)
{
  chosen = waiting; waiting = NOBODY; waiting_zero = 0; waiting_again = 0;
  decide_stop(cause, chosen)
}

/* Sender.sent */
inline hand_over_command()
{
  assert(flying == NOBODY);          /* R9, R14: at most one command in flight */
  assert(!needs_ack);                /* R10 */
  assert(commander == waiting);      /* R13, R14: never one that is not the newest ... */
  assert(lives);                     /* R13: ... nor of a session that ended */
#ifdef SEE_SENT_AGAIN
  if :: waiting_again -> WITNESS :: else fi;
#endif
  older_flying = CALLS + superseded + zeros > 0;
  flying = waiting; flying_zero = waiting_zero; flying_again = waiting_again; ran = 0;
  waiting = NOBODY; waiting_zero = 0; waiting_again = 0;
  last_sid = flying; quiet = 0; acked_since = 0;
  forget_stopping()
}

/* Protocol._hand_over_stop, Stopping.send */
inline hand_over_stop()
{
  if
  :: stopping && due && STOP_MAY_GO ->
    assert(!taken);                  /* R9: a lapse's stop is withdrawn by a newer command */
    assert(!ABOUT_TO_MOVE);          /* R9: no repetition once a command can go out */
    if
    :: SENT_CLEAN -> clean++
    :: else -> unclean++
    fi;
    handed_over = 1
  :: else
  fi;
  due = 0;
  if
  :: stopping && zero_due && last_sid != NOBODY && zeros < ZEROS -> zeros++
  :: else                            /* among others: no valid machine session */
  fi;
  zero_due = 0
}

/* Protocol.drain */
inline drain()
{
#ifndef MUT_ZERO_BESIDE_UNANSWERED
  if /* Sender.tick: a zero is a stop while a command is unanswered */
  :: ALL_LOST > 0 && waiting_zero -> decide_stop(REFUSED, waiting)
  :: else
  fi;
#endif
  if
  :: SENDABLE && waiting == commander && !lives -> fail_waiting(NO_SESSION); hand_over_stop()
  :: SENDABLE && (waiting != commander || sid) -> hand_over_command()
  :: else -> hand_over_stop()        /* or a StartSession: see machine_sessions() */
  fi;
  chosen = NOBODY;
  assert(!stopping || handed_over);  /* R7: at once, whatever is in flight */
  assert(!needs_ack || stopping);    /* R10: a failed command's base is being stopped */
  assert(lives || stopping || quiet || commander == NOBODY); /* R6, R7: and a lapsed one's */
  assert(CALLS + superseded <= STOPS + 2) /* the model's own bound */
}

/* Stopping.answered with an error */
inline stop_failed()
{
  if
  :: !zero_spent -> zero_spent = 1; zero_due = 1
  :: else
  fi
}

/* Stopping.answered with OK, of one that no failure made worthless */
inline stop_acknowledged()
{
  acknowledged = 1; acked_since = 1; needs_ack = 0
}

/* Sender._stop_answered, where the stop is final */
inline final()
{
  assert(!moving);                                                /* R7 */
  assert(flying == NOBODY || ran);                                /* R7 */
  assert(MAY_ACT_LATE == 0);                                      /* R7 */
#ifdef SEE_TAKEOVER_AWAITS_ALL
  if :: CALLS > 0 && zeros > 0 && waiting != NOBODY -> WITNESS :: else fi;
#endif
  superseded = superseded + CALLS;
  forget_stopping();
  commanded = waiting != NOBODY; owed = 0; quiet = 1
}

/* Sender._all_answered_now, Stopping.commands_answered */
inline all_answered_now()
{
  if
  :: stopping && ALL_ANSWERED && handed_over && clean + clean_ran == 0 ->
#ifndef MUT_STOP_NOT_REPEATED
    due = 1
#else
    skip
#endif
  :: else
  fi
}

/* Sender._command_answered of one that failed: _fail and Stopping.distrust */
inline command_failed()
{
  chosen = flying; flying = NOBODY; flying_zero = 0; flying_again = 0; ran = 0; older_flying = 0;
#ifndef MUT_FAILURE_WITHOUT_STOP
  decide_stop(FAILED, chosen);
  acknowledged = 0;
  fenced = fenced + unclean + unclean_ran + clean + clean_ran;
  unclean = 0; unclean_ran = 0; clean = 0; clean_ran = 0;
#endif
  needs_ack = 1;
  all_answered_now()
}

/* Fairness obliges every process but those that may rest: a step that changes nothing. */
#ifdef LIVE
#define MAY_REST (commander < 3)
#else
#define MAY_REST false
#endif

/* ================ What happens ================
 * One option is one feed of the bridge and its drain, or one step of the machine. */

byte chosen;           /* within a step */

/* Core._end, of the session that is the last user: its lapse, or its publisher left */
inline last_user_ends()
{
  lives = 0; sid = 0;
  decide_stop(LAPSE, commander)
}

/* Core.command. Another client, and a new session, begin without a machine session here; one that
 * has it already is told from that by nothing but a START that comes at once. */
inline take_command(client, zero_velocity)
{
  if
  :: lives && commander == client
  :: else -> lives = 1; sid = 0; commander = client
  fi;
  forward(client, zero_velocity);
  drain()
}

/* A bound of the model's: what may lead to a new Stopping waits until few old stops are out. */
#define MAY_BEGIN (superseded < STOPS)

/* Publishers and the graph: nothing obliges them to do anything. */
active proctype clients()
{
end:
  do
  :: d_step { MAY_BEGIN -> take_command(A, 0) }
  :: d_step { MAY_BEGIN -> take_command(A, 1) }
  :: d_step { MAY_BEGIN -> take_command(B, 0) }
  :: d_step { MAY_BEGIN -> take_command(B, 1) }
    /* what is due ends first, in the same feed (R2) */
  :: d_step { MAY_BEGIN && lives -> last_user_ends(); take_command(A, 0) }
  :: d_step { MAY_BEGIN && lives -> last_user_ends(); take_command(B, 0) }
  :: d_step { lives -> last_user_ends(); drain() }
#ifdef MUT_LAPSE_OF_ANYBODY
  :: d_step { lives -> decide_stop(LAPSE, A + B - commander); drain() }
#endif
    /* Core._refuse of the client that commanded last, or its zero */
  :: d_step { commander != NOBODY -> decide_stop(REFUSED, commander); drain() }
  :: MAY_REST
  od
}

/* Machine sessions: starts, and ends that a heartbeat or another base's command learns of. The
 * machine itself may stop the base at any moment: its session lapsed, another client of its did
 * it, or a stop that the bridge does not count on took effect. */
active proctype machine_sessions()
{
end:
  do
  :: d_step { lives && !sid -> sid = 1; drain() }
  :: d_step { lives && !sid && waiting == commander -> fail_waiting(NO_SESSION); drain() }
  :: d_step { lives && sid && last_sid != commander -> sid = 0 }
  :: d_step { /* SESSION_EXPIRED on a heartbeat, or on another base's command */
      last_sid != NOBODY ->
      if :: last_sid == commander -> sid = 0 :: else fi;
      chosen = last_sid; last_sid = NOBODY;
      if :: commanded -> decide_stop(EXPIRED, chosen) :: else fi;
      drain()
    }
    /* one that rests has lapsed by the bridge's reckoning (MachineSessions._forget_lapsed) */
  :: d_step { last_sid != NOBODY && !(lives && last_sid == commander) -> last_sid = NOBODY }
    /* Protocol._suspected: it moves after a final stop (R20) */
  :: d_step {
      commander != NOBODY && !commanded && MAY_BEGIN ->
      decide_stop(STILL_MOVING, NOBODY);
      drain()
    }
  :: d_step { moving -> moving = 0 }
  :: MAY_REST
  od
}

/* The waiting command: it waited a whole window (R14), or the channel is down */
active proctype waiting_too_long()
{
end:
  do
  :: d_step { waiting != NOBODY -> fail_waiting(FAILED); drain() }
  :: MAY_REST
  od
}

/* The command in flight */
active proctype command()
{
end:
  do
  :: d_step { flying != NOBODY && !ran -> ran = 1; moving = !flying_zero; assert(!quiet) } /* R7 */
  :: d_step { /* OK */
      flying != NOBODY && ran ->
      assert(!older_flying);         /* R9: a stop answered later may act later */
      assert(!(flying_zero && MAY_ACT_LATE)); /* R10: nothing older lives on */
#ifdef SEE_OLDER_MOTION_ACTS_LAST
      if :: MAY_ACT_LATE -> WITNESS :: else fi;
#endif
      flying = NOBODY; flying_zero = 0; flying_again = 0; ran = 0;
      all_answered_now();
      drain()
    }
  :: d_step { flying != NOBODY -> command_failed(); drain() } /* an error, whether it ran or not */
  :: d_step { /* no answer: TIMED_OUT, CUT */
      flying != NOBODY && ALL_LOST < LOST ->
      if
      :: ran || flying_zero -> lost_gone++ /* a late zero harms nobody */
      :: else -> lost_waits++
      fi;
      command_failed();
      drain()
    }
  :: d_step { /* SESSION_EXPIRED */
      flying != NOBODY && !ran ->
      if :: commander == flying -> sid = 0 :: else fi;
      if :: last_sid == flying -> last_sid = NOBODY :: else fi;
      if
      :: flying_again -> command_failed()
      :: else ->
        if
#ifdef MUT_OLD_COMMAND_AGAIN
        :: true ->
#else
        :: !stopping && waiting == NOBODY ->
#endif
          waiting = flying; waiting_zero = flying_zero; waiting_again = 1
        :: else
        fi;
        flying = NOBODY; flying_zero = 0; older_flying = 0;
        all_answered_now()
      fi;
      drain()
    }
  od
}

/* A stop is handed over again after its pause */
active proctype repetition()
{
end:
  do
#ifndef MUT_STOP_NOT_REPEATED
  :: d_step { stopping && CALLS + superseded < STOPS -> due = 1; drain() }
#else
  :: d_step { false -> skip }
#endif
  od
}

/* The stops in flight: each takes effect or not, and is answered or not */
active proctype stops()
{
end:
  do
  :: d_step { unclean > 0 -> unclean--; unclean_ran++; moving = 0 }
  :: d_step { clean > 0 -> clean--; clean_ran++; moving = 0 }
  :: d_step { unclean_ran > 0 -> unclean_ran--; stop_acknowledged(); drain() }
  :: d_step { clean_ran > 0 -> clean_ran--; stop_acknowledged(); final(); drain() }
  :: d_step { /* OK, of one handed over before a command failed */
      fenced > 0 ->
      fenced--;
#ifdef SEE_OLD_ACK
      if :: waiting != NOBODY && CALLS == 0 -> WITNESS :: else fi;
#endif
#ifdef MUT_OLD_ACK_COUNTS
      acknowledged = 1;
#endif
      drain()
    }
  :: d_step { superseded > 0 -> superseded--; drain() }
    /* an error or no answer, whether it took effect or not */
  :: d_step { FAULTY && unclean > 0 -> unclean--; stop_failed(); drain() }
  :: d_step { FAULTY && unclean_ran > 0 -> unclean_ran--; stop_failed(); drain() }
  :: d_step { FAULTY && clean > 0 -> clean--; stop_failed(); drain() }
  :: d_step { FAULTY && clean_ran > 0 -> clean_ran--; stop_failed(); drain() }
  :: d_step { FAULTY && fenced > 0 -> fenced--; stop_failed(); drain() }
  od
}

/* The zero velocity that follows a stop's first error: one that acts late harms nobody */
active proctype zero()
{
end:
  do
  :: d_step { /* answered */
      zeros > 0 ->
      zeros--;
      if :: zeros == 0 -> older_flying = 0 :: else fi;
      all_answered_now();
      drain()
    }
  :: d_step { /* not answered */
      zeros > 0 && ALL_LOST < LOST ->
      zeros--; lost_gone++;
      if :: zeros == 0 -> older_flying = 0 :: else fi;
      drain()
    }
  od
}

/* Commands that got no answer, in the machine: behind its lock, then running, then gone */
active proctype late()
{
end:
  do
  :: d_step { lost_waits > 0 -> lost_waits--; lost_turn++ }
  :: d_step { lost_waits > 0 -> lost_waits--; lost_gone++ }
  :: d_step { lost_turn > 0 -> lost_turn--; lost_gone++; moving = 1; assert(!quiet) } /* R7 */
  :: d_step { lost_turn > 0 -> lost_turn--; lost_gone++ }
  :: d_step {
      probed_turn > 0 -> probed_turn--; probed_gone++; moving = 1; assert(!quiet) /* R7 */
    }
  :: d_step { probed_turn > 0 -> probed_turn--; probed_gone++ }
#ifdef MUT_SETTLED_BY_PROBE_ALONE
  :: d_step { forgotten_turn > 0 -> forgotten_turn--; moving = 1; assert(!quiet) } /* R7 */
#endif
  od
}

/* ... and in the bridge: the probe waits for the same lock, and one second does the rest */
active proctype probe()
{
end:
  do
#ifndef MUT_NO_PROBE
  :: d_step { lost_turn > 0 -> lost_turn--; probed_turn++ }
  :: d_step { lost_gone > 0 -> lost_gone--; probed_gone++ }
#endif
  :: d_step { /* it counts as answered */
      probed_gone > 0 ->
      probed_gone--;
      all_answered_now();
#ifdef SEE_SETTLED
      if :: due && acknowledged && !lives -> WITNESS :: else fi;
#endif
      drain()
    }
#ifdef MUT_SETTLED_BY_PROBE_ALONE
  :: d_step { probed_turn > 0 -> probed_turn--; forgotten_turn++; all_answered_now(); drain() }
#endif
  od
}

#ifdef LIVE
active proctype heal()
{
  healed = 1
}

/* Every stop owed is paid, if the machine answers in the end */
never {
  do
  :: true
  :: owed && healed -> break
  od;
accept:
  do
  :: owed && healed
  od
}
#endif
