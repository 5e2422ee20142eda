/* SPDX-License-Identifier: GPL-2.0 */
/*
 * log.h - what programs log.
 */
#ifndef WRING_HOST_LOG_H
#define WRING_HOST_LOG_H

/* Switches the trace event on, once: a unit that logs has been built. May sleep. */
void wring_log_enable(void);

#endif /* WRING_HOST_LOG_H */
