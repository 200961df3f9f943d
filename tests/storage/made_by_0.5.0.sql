BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE mnist_tune_workers (
	worker_id VARCHAR(32) NOT NULL,
	study_id INTEGER NOT NULL,
	name VARCHAR(512) NOT NULL,
	host VARCHAR(512) NOT NULL,
	pid INTEGER NOT NULL,
	device VARCHAR(512) NOT NULL,
	started DATETIME NOT NULL,
	last_beat DATETIME NOT NULL,
	trial INTEGER,
	images_per_second FLOAT,
	drain BOOLEAN NOT NULL,
	departure TEXT,
	PRIMARY KEY (worker_id),
	FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE
);
CREATE TABLE studies (
	study_id INTEGER NOT NULL,
	study_name VARCHAR(512) NOT NULL,
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'tiny');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL,
	direction VARCHAR(8) NOT NULL,
	study_id INTEGER NOT NULL,
	objective INTEGER NOT NULL,
	PRIMARY KEY (study_direction_id),
	UNIQUE (study_id, objective),
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL,
	study_id INTEGER,
	"key" VARCHAR(512),
	value_json TEXT,
	PRIMARY KEY (study_system_attribute_id),
	UNIQUE (study_id, "key"),
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["validation_accuracy"]');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL,
	study_id INTEGER,
	"key" VARCHAR(512),
	value_json TEXT,
	PRIMARY KEY (study_user_attribute_id),
	UNIQUE (study_id, "key"),
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'mnist_tune:spec','{"study": {"name": "tiny"}, "search": {"sampler": "grid", "grid": {"learning_rate": [0.001, 0.0001]}}, "training": {"batch_size": 64, "optimizer": "Adam", "epochs": 1, "seed": 0, "precision": "auto", "weight_decay": 0.0, "momentum": 0.0, "nesterov": false, "scheduler": "none", "label_smoothing": 0.0, "dropout": 0.0, "augmentation_shift": 0.0, "augmentation_rotation": 0.0, "augmentation_scale": 0.0, "augmentation_shear": 0.0, "ema_decay": 0.0}, "data": {"train_size": 50000, "validation_size": 10000, "split_seed": 0}, "lease": {"heartbeat_interval": 0.001, "grace_period": 0.005, "patience": Infinity}, "retry": {"lost": 1000000000000, "preempted": 0, "exception": 3, "out_of_memory": 3, "timeout": 3, "non_finite": 0}, "limits": {"timeout": Infinity, "failures_in_a_row": 1000000000000, "checkpoint_interval": Infinity}}');
INSERT INTO "study_user_attributes" VALUES(2,1,'mnist_tune:version','"0.5.0"');
INSERT INTO "study_user_attributes" VALUES(3,1,'mnist_tune:uid','"cc033be2a1f9c5f568fbc24c23f4a825"');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL,
	trial_id INTEGER NOT NULL,
	heartbeat DATETIME NOT NULL,
	PRIMARY KEY (trial_heartbeat_id),
	UNIQUE (trial_id),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_heartbeats" VALUES(1,1,'2026-11-25 14:42:44.725000');
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL,
	trial_id INTEGER NOT NULL,
	step INTEGER NOT NULL,
	intermediate_value FLOAT,
	intermediate_value_type VARCHAR(7) NOT NULL,
	PRIMARY KEY (trial_intermediate_value_id),
	UNIQUE (trial_id, step),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,1,96.5,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL,
	trial_id INTEGER,
	param_name VARCHAR(512),
	param_value FLOAT,
	distribution_json TEXT,
	PRIMARY KEY (param_id),
	UNIQUE (trial_id, param_name),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'learning_rate',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.001, 0.0001]}}');
INSERT INTO "trial_params" VALUES(2,2,'learning_rate',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.001, 0.0001]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL,
	trial_id INTEGER,
	"key" VARCHAR(512),
	value_json TEXT,
	PRIMARY KEY (trial_system_attribute_id),
	UNIQUE (trial_id, "key"),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'mnist_tune:cell','0');
INSERT INTO "trial_system_attributes" VALUES(2,1,'grid_id','0');
INSERT INTO "trial_system_attributes" VALUES(3,1,'search_space','{"learning_rate": [0.001, 0.0001]}');
INSERT INTO "trial_system_attributes" VALUES(4,1,'fixed_params','{"learning_rate": 0.0001}');
INSERT INTO "trial_system_attributes" VALUES(5,2,'mnist_tune:cell','1');
INSERT INTO "trial_system_attributes" VALUES(6,2,'grid_id','1');
INSERT INTO "trial_system_attributes" VALUES(7,2,'search_space','{"learning_rate": [0.001, 0.0001]}');
INSERT INTO "trial_system_attributes" VALUES(8,2,'fixed_params','{"learning_rate": 0.001}');
INSERT INTO "trial_system_attributes" VALUES(9,1,'mnist_tune:claim','"bedc2788ecddc59a48a36c11af8e571f"');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL,
	trial_id INTEGER,
	"key" VARCHAR(512),
	value_json TEXT,
	PRIMARY KEY (trial_user_attribute_id),
	UNIQUE (trial_id, "key"),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'worker','"host:1"');
INSERT INTO "trial_user_attributes" VALUES(2,1,'history','[{"epoch": 1, "training_loss": 2.0, "validation_loss": 0.125, "validation_accuracy": 96.5, "images_per_second": 2.0, "seconds": 2.0}]');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL,
	trial_id INTEGER NOT NULL,
	objective INTEGER NOT NULL,
	value FLOAT,
	value_type VARCHAR(7) NOT NULL,
	PRIMARY KEY (trial_value_id),
	UNIQUE (trial_id, objective),
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,96.5,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL,
	number INTEGER,
	study_id INTEGER,
	state VARCHAR(8) NOT NULL,
	datetime_start DATETIME,
	datetime_complete DATETIME,
	PRIMARY KEY (trial_id),
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-25 14:42:44.724000','2026-11-25 14:42:44.785000');
INSERT INTO "trials" VALUES(2,1,1,'WAITING',NULL,NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL,
	schema_version INTEGER,
	library_version VARCHAR(256),
	PRIMARY KEY (version_info_id),
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE INDEX ix_mnist_tune_workers_study_id ON mnist_tune_workers (study_id);
CREATE INDEX ix_mnist_tune_trials_study_state ON trials (study_id, state, trial_id);
COMMIT;
