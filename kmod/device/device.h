/* SPDX-License-Identifier: GPL-2.0 */
/*
 * device.h - /dev/wring.
 */
#ifndef WRING_DEVICE_DEVICE_H
#define WRING_DEVICE_DEVICE_H

/* Makes it appear, when everything else is ready. Module initialization: 0 or a negative errno. */
int wring_device_init(void);
/* Module exit. */
void wring_device_exit(void);

#endif /* WRING_DEVICE_DEVICE_H */
